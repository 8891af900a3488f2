#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// How threads of a pool stand beside those of the program.
package enum ThreadPriority: Sendable {
  /// As the threads that make them.
  case ordinary
  /// Behind them: where processors are short, the program goes on first.
  case low
}

/// A fixed number of threads that serve encoding, decoding and background saves.
///
/// Callers block, so a caller must not be a thread of Swift's cooperative pool. The threads start
/// when there is first work for them. Releasing the pool finishes what was submitted and joins the
/// threads, unless a job released it: then they end by themselves.
package final class WorkerPool: Sendable {
  /// How many threads the pool may start; with 0, everything runs on the calling thread.
  package let threadCount: Int
  package let priority: ThreadPriority
  let queue: JobQueue

  /// - Parameters:
  ///   - threadCount: the most threads to start, 0 or more; negative counts as 0.
  ///   - priority: of the threads beside those of the program.
  package init(threadCount: Int, priority: ThreadPriority = .ordinary) {
    self.threadCount = max(threadCount, 0)
    self.priority = priority
    queue = JobQueue(threadCountMax: self.threadCount, priority: priority)
  }

  deinit { queue.finish() }

  /// The processors this process may use, at least 1.
  package static var availableThreadCount: Int { max(Platform.availableProcessorCount, 1) }

  /// Has a thread of the pool run `body` once; jobs start in the order of their submission.
  ///
  /// If the pool has no threads, or the system gave it none, `body` has run when this returns.
  @discardableResult
  package func submit(_ body: @escaping @Sendable () -> Void) -> Job {
    let job = Job(queue: queue, body: body)
    if !queue.append(job) { job.runInline() }
    return job
  }

  /// Calls `body` for every index below `count` and returns when all calls have returned.
  ///
  /// The calling thread takes part, and up to ``threadCount`` threads of the pool with it: `body`
  /// runs on several threads at once and must only change what belongs to its index. Indices are
  /// handed out in ascending order. A job of the pool may call this too: it then gets the help of
  /// the threads that are free, and never waits for one that is not.
  ///
  /// - Parameters:
  ///   - count: the number of indices; none or negative does nothing.
  ///   - body: called once for each index.
  package func forEach(_ count: Int, _ body: (Int) -> Void) {
    let helperCount = min(threadCount, count - 1)
    guard helperCount > 0 else {
      for index in 0..<max(count, 0) { body(index) }
      return
    }
    withoutActuallyEscaping(body) { body in
      let loop = ParallelLoop(count: count, body: body)
      var helpers: [Job] = []
      for _ in 0..<helperCount {
        let helper = Job(queue: queue) { loop.run() }
        guard queue.append(helper) else { break }  // no thread to be had: the caller does it all
        helpers.append(helper)
      }
      loop.run()
      // Every index is taken. Helpers that have not started are not needed any more; those that
      // have are in `body`, and waiting for them cannot deadlock.
      for helper in helpers { helper.cancelOrWait() }
      loop.end()
    }
  }

  /// Calls `body` for every index below `count`, several at once; returns the results in order.
  package func map<Result>(_ count: Int, _ body: (Int) -> Result) -> [Result] {
    // An array without capacity is one that all threads share, and its count would be written.
    guard count > 0 else { return [] }
    return unsafe [Result](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      // SAFETY: `forEach` hands out every index below `count` exactly once.
      forEach(count) { index in unsafe buffer.initializeElement(at: index, to: body(index)) }
      initializedCount = count
    }
  }
}

extension WorkerPool {
  /// More threads than this only cost memory: each has buffers of a few chunks.
  private static let threadCountMax = 256

  /// A pool for `threads` threads; nil for one per processor, 1 for the calling thread alone.
  package static func sized(
    _ threads: Int?, priority: ThreadPriority = .ordinary
  ) -> WorkerPool {
    let count = min(threads ?? availableThreadCount, threadCountMax)
    return WorkerPool(threadCount: count <= 1 ? 0 : count, priority: priority)
  }
}
