#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The jobs of a pool and its threads, which hold this and not the pool itself, so that the pool
/// can be released while they run.
// SAFETY (@unchecked Sendable): the mutable properties are only touched under `mutex`. It is a
// pthread mutex since ThreadSanitizer reports Synchronization.Mutex falsely. The mutex and the
// conditions live at fixed addresses from init to deinit, and every thread that uses them holds a
// reference to this object.
@safe final class JobQueue: @unchecked Sendable {
  private let threadCountMax: Int
  private let priority: ThreadPriority
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// There is a job, or the queue is finishing.
  private let workArrived = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// Some job has finished.
  private let jobFinished = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private var pending: [Job] = []
  private var threads: [Platform.ThreadHandle] = []
  private var idleCount = 0
  private var isFinishing = false

  init(threadCountMax: Int, priority: ThreadPriority) {
    self.threadCountMax = threadCountMax
    self.priority = priority
    // SAFETY: each is initialised once, before any thread can see it.
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe workArrived.initialize(to: pthread_cond_t())
    unsafe jobFinished.initialize(to: pthread_cond_t())
    unsafe _ = pthread_mutex_init(mutex, nil)
    unsafe _ = pthread_cond_init(workArrived, nil)
    unsafe _ = pthread_cond_init(jobFinished, nil)
  }

  deinit {
    // SAFETY: the last reference is gone, so no thread waits on these or will again.
    unsafe _ = pthread_cond_destroy(jobFinished)
    unsafe _ = pthread_cond_destroy(workArrived)
    unsafe _ = pthread_mutex_destroy(mutex)
    unsafe jobFinished.deallocate()
    unsafe workArrived.deallocate()
    unsafe mutex.deallocate()
  }

  func withLock<Result>(_ body: () -> Result) -> Result {
    // SAFETY: locked and unlocked by this thread, in pairs. A default mutex that is used so cannot
    // fail.
    unsafe _ = pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Takes a job, unless there is no thread that could run it.
  func append(_ job: Job) -> Bool {
    withLock {
      if idleCount <= pending.count, threads.count < threadCountMax { startThreadLocked() }
      if threads.isEmpty { return false }
      pending.append(job)
      // SAFETY: an initialised condition.
      unsafe _ = pthread_cond_signal(workArrived)
      return true
    }
  }

  /// Has the threads end when no job is left, and waits for that.
  func finish() {
    let (joined, isWorker) = withLock {
      isFinishing = true
      // SAFETY: an initialised condition.
      unsafe _ = pthread_cond_broadcast(workArrived)
      return (threads, isWorkerLocked)
    }
    for thread in joined {
      // A thread cannot join itself, and the others may be waiting for its job.
      // Each thread is joined or detached once: only the deinit of the pool calls this.
      _ = isWorker ? pthread_detach(thread) : pthread_join(thread, nil)
    }
  }

  // MARK: Under the lock

  /// Whether the calling thread is one of the queue's.
  var isWorkerLocked: Bool {
    let caller = pthread_self()
    return threads.contains { pthread_equal($0, caller) != 0 }
  }

  func removeLocked(_ job: Job) { pending.removeAll { $0 === job } }

  func announceFinishedLocked() {
    // SAFETY: an initialised condition.
    unsafe _ = pthread_cond_broadcast(jobFinished)
  }

  func waitForFinishedLocked() {
    // SAFETY: the caller holds the mutex.
    unsafe _ = pthread_cond_wait(jobFinished, mutex)
  }

  /// The next job; nil when the thread shall end.
  private func nextLocked() -> Job? {
    while true {
      if let job = pending.first {
        pending.removeFirst()
        if job.startLocked() { return job }
      } else if isFinishing {
        return nil
      } else {
        idleCount += 1
        // SAFETY: the caller holds the mutex.
        unsafe _ = pthread_cond_wait(workArrived, mutex)
        idleCount -= 1
      }
    }
  }

  // MARK: Threads

  private func work() {
    if priority == .low { Platform.lowerPriority() }
    while let job = withLock({ nextLocked() }) { job.run() }
  }

  /// Enough for zlib and for debug builds; the default is 512 KiB on Darwin, and a limit of the
  /// shell on Linux.
  private static let stackByteCount = 2 << 20

  /// Starts one more thread if the system lets us; those that run already do the work otherwise.
  private func startThreadLocked() {
    // A thread inherits the mask of its creator: with everything blocked, the handlers of the
    // program run on its own threads. The signals of a fault stay, so that crashes are reported.
    // SAFETY: all of these are local values that the C library initialises before use.
    var blocked = sigset_t()
    var previous = sigset_t()
    unsafe _ = sigfillset(&blocked)
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT] {
      unsafe _ = sigdelset(&blocked, signal)
    }
    unsafe _ = pthread_sigmask(SIG_SETMASK, &blocked, &previous)
    defer { unsafe _ = pthread_sigmask(SIG_SETMASK, &previous, nil) }

    var attributes = pthread_attr_t()
    guard unsafe pthread_attr_init(&attributes) == 0 else { return }
    defer { unsafe _ = pthread_attr_destroy(&attributes) }
    unsafe _ = pthread_attr_setstacksize(&attributes, Self.stackByteCount)

    // SAFETY: the thread consumes the reference passed to it; if there is no thread, we do.
    let context = unsafe Unmanaged.passRetained(self)
    let thread = unsafe Platform.startThread(&attributes, context: context.toOpaque()) { context in
      if let queue = unsafe JobQueue.take(context) { queue.work() }
      return nil
    }
    if let thread { threads.append(thread) } else { unsafe context.release() }
  }

  /// The queue whose reference a new thread was given.
  @unsafe private static func take(_ context: UnsafeMutableRawPointer?) -> JobQueue? {
    // SAFETY: `startThreadLocked` passed a retained queue.
    guard let context = unsafe context else { return nil }
    return unsafe Unmanaged<JobQueue>.fromOpaque(context).takeRetainedValue()
  }
}
