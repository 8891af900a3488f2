import CheckpointStorage
import Synchronization
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: every job runs once, waiting never deadlocks, and nothing outlives the pool.
// Method: counts kept in atomics, pools of every small width, and jobs that wait for each other.
@Suite struct WorkerPoolTests {
  @Test(arguments: [0, 1, 2, 5]) func forEachCallsEveryIndexOnce(threadCount: Int) {
    let pool = WorkerPool(threadCount: threadCount)
    for count in [-1, 0, 1, 2, 3, 17, 1000] {
      let counts = Counters(max(count, 0))
      pool.forEach(count) { counts.increment($0) }
      #expect(counts.values.allSatisfy { $0 == 1 })
    }
  }

  @Test func forEachHandsOutIndicesInAscendingOrder() {
    let pool = WorkerPool(threadCount: 0)
    var order: [Int] = []
    pool.forEach(5) { order.append($0) }
    #expect(order == [0, 1, 2, 3, 4])
  }

  @Test(arguments: [0, 2]) func mapKeepsTheOrder(threadCount: Int) {
    let pool = WorkerPool(threadCount: threadCount)
    #expect(pool.map(0) { $0 }.isEmpty)
    #expect(pool.map(100) { "\($0)" } == (0..<100).map(String.init))
  }

  #if os(Linux)
    @Test func threadsOfLowPriorityStandBehindTheirMaker() {
      let process = Int32(bitPattern: PRIO_PROCESS.rawValue)
      let own = getpriority(process, 0)
      for (priority, expected) in [(ThreadPriority.ordinary, own), (.low, min(own + 10, 19))] {
        let pool = WorkerPool(threadCount: 1, priority: priority)
        let found = Protected<Int32>(-100)
        pool.submit { found.withLock { $0 = getpriority(process, 0) } }.wait()
        #expect(found.withLock { $0 } == expected)
      }
      #expect(getpriority(process, 0) == own)
    }

    @Test func threadsThatSuchAThreadMakesStandNoFurtherBehind() {
      let process = Int32(bitPattern: PRIO_PROCESS.rawValue)
      let own = getpriority(process, 0)
      let found = Protected<Int32>(-100)
      WorkerPool(threadCount: 1, priority: .low).submit {
        let inner = WorkerPool(threadCount: 1, priority: .low)
        inner.submit { found.withLock { $0 = getpriority(process, 0) } }.wait()
      }.wait()
      #expect(found.withLock { $0 } == min(own + 10, 19))
    }
  #endif

  @Test func forEachUsesTheThreadsOfThePool() {
    // Each index waits until all three run at once, so this ends only if they do.
    let pool = WorkerPool(threadCount: 2)
    let arrived = Atomic<Int>(0)
    pool.forEach(3) { _ in
      arrived.add(1, ordering: .relaxed)
      while arrived.load(ordering: .relaxed) < 3 { sleepOneMillisecond() }
    }
    #expect(arrived.load(ordering: .relaxed) == 3)
  }

  @Test func forEachReturnsWhenTheLastCallHasReturned() {
    let pool = WorkerPool(threadCount: 2)
    let caller = pthread_self()
    let arrived = Atomic<Int>(0)
    let returned = Atomic<Int>(0)
    pool.forEach(3) { _ in
      arrived.add(1, ordering: .relaxed)
      while arrived.load(ordering: .relaxed) < 3 { sleepOneMillisecond() }
      // The caller is done first, and has to wait for the threads.
      if pthread_equal(pthread_self(), caller) == 0 {
        for _ in 0..<5 { sleepOneMillisecond() }
      }
      returned.add(1, ordering: .relaxed)
    }
    #expect(returned.load(ordering: .relaxed) == 3)
  }

  @Test(arguments: [0, 1, 2, 3]) func forEachNestsToAnyDepth(threadCount: Int) {
    let pool = WorkerPool(threadCount: threadCount)
    let total = Atomic<Int>(0)
    pool.forEach(5) { _ in
      pool.forEach(5) { _ in
        pool.forEach(5) { _ in total.add(1, ordering: .relaxed) }
      }
    }
    #expect(total.load(ordering: .relaxed) == 125)
  }

  @Test(arguments: [0, 1, 2, 4]) func everyJobRunsOnce(threadCount: Int) {
    let pool = WorkerPool(threadCount: threadCount)
    let counts = Counters(2000)
    let jobs = (0..<2000).map { index in pool.submit { counts.increment(index) } }
    for job in jobs { job.wait() }
    #expect(counts.values.allSatisfy { $0 == 1 })
  }

  @Test func jobsOfOneThreadRunInTheOrderOfSubmission() {
    let pool = WorkerPool(threadCount: 1)
    let next = Atomic<Int>(0)
    let counts = Counters(100)
    let jobs = (0..<100).map { index in
      pool.submit {
        if next.add(1, ordering: .relaxed).oldValue == index { counts.increment(index) }
      }
    }
    for job in jobs { job.wait() }
    #expect(counts.values.allSatisfy { $0 == 1 })
  }

  @Test func withoutThreadsAJobHasRunWhenSubmitReturns() {
    let pool = WorkerPool(threadCount: 0)
    let hasRun = Atomic<Bool>(false)
    let job = pool.submit { hasRun.store(true, ordering: .relaxed) }
    #expect(hasRun.load(ordering: .relaxed) == true)
    job.wait()
  }

  @Test func aJobMayWaitForAnotherOfTheSameThread() {
    let pool = WorkerPool(threadCount: 1)
    let total = Atomic<Int>(0)
    pool.submit {
      let inner = (0..<10).map { _ in pool.submit { total.add(1, ordering: .relaxed) } }
      for job in inner { job.wait() }
      total.add(100, ordering: .relaxed)
    }.wait()
    #expect(total.load(ordering: .relaxed) == 110)
  }

  @Test func severalJobsMayWaitForTheSameJob() {
    for _ in 0..<50 {
      let pool = WorkerPool(threadCount: 2)
      let hasRun = Atomic<Bool>(false)
      let sawItCount = Atomic<Int>(0)
      let awaited = Handoff<Job>()
      // Both threads are busy when the third job arrives, so that one of them must run it.
      let waiting = (0..<2).map { _ in
        pool.submit {
          awaited.take().wait()
          if hasRun.load(ordering: .relaxed) { sawItCount.add(1, ordering: .relaxed) }
        }
      }
      let slow = pool.submit {
        sleepOneMillisecond()
        hasRun.store(true, ordering: .relaxed)
      }
      awaited.give(slow)
      for job in waiting { job.wait() }
      #expect(sawItCount.load(ordering: .relaxed) == 2)
    }
  }

  /// Turns are taken in order, whoever comes first.
  @Test func aChangeIsToldToThoseWhoWaitForIt() {
    let turns = Protected([Int]())
    let pool = WorkerPool(threadCount: 4)
    let jobs = [3, 2, 1, 0].map { turn in
      pool.submit { turns.change(when: { $0.count == turn }) { $0.append(turn) } }
    }
    for job in jobs { job.wait() }
    #expect(turns.change { $0 } == [0, 1, 2, 3])
  }

  @Test func releasingThePoolFinishesItsJobs() {
    let total = Atomic<Int>(0)
    do {
      let pool = WorkerPool(threadCount: 2)
      for _ in 0..<100 { pool.submit { total.add(1, ordering: .relaxed) } }
    }
    #expect(total.load(ordering: .relaxed) == 100)
  }

  @Test func aJobMayReleaseThePoolItRunsOn() {
    weak var released: WorkerPool?
    let hasReleased = Atomic<Bool>(false)
    let handoff = Handoff<WorkerPool>()
    do {
      let pool = WorkerPool(threadCount: 2)
      released = pool
      pool.submit {
        do {
          let last = handoff.take()
          _ = consume last
        }
        handoff.clear()
        hasReleased.store(true, ordering: .releasing)
      }
      handoff.give(pool)
    }
    while !hasReleased.load(ordering: .acquiring) { sleepOneMillisecond() }
    #expect(released == nil)
  }

  @Test func thereIsAtLeastOneProcessor() {
    #expect(WorkerPool.availableThreadCount >= 1)
  }
}
