/// Work that was submitted to a ``WorkerPool``.
// SAFETY (@unchecked Sendable): `state` and `body` are only touched under the mutex of the queue.
package final class Job: @unchecked Sendable {
  enum State { case pending, running, finished }

  private let queue: JobQueue
  private var state = State.pending
  private var body: (@Sendable () -> Void)?

  init(queue: JobQueue, body: @escaping @Sendable () -> Void) {
    self.queue = queue
    self.body = body
  }

  /// Blocks until the job has finished; what it wrote is then visible to this thread.
  ///
  /// A job of the same pool may wait for another: if that one has not started, it runs right here,
  /// so that a pool whose threads all wait still gets on.
  package func wait() {
    let isMine = queue.withLock {
      if state == .pending, queue.isWorkerLocked {
        queue.removeLocked(self)
        return startLocked()
      }
      waitLocked()
      return false
    }
    if isMine { run() }
  }

  /// Whether the job has finished; if so, what it wrote is visible to this thread.
  package var isFinished: Bool { queue.withLock { state == .finished } }

  /// Makes sure that the job is not running and will not run.
  func cancelOrWait() {
    queue.withLock {
      if state == .pending {
        queue.removeLocked(self)
        finishLocked()
      } else {
        waitLocked()
      }
    }
  }

  /// Runs a job that is in no queue, if nobody else has.
  func runInline() {
    guard queue.withLock({ startLocked() }) else { return }
    run()
  }

  // MARK: For the queue

  /// Whether the caller is the one to run the job.
  func startLocked() -> Bool {
    guard state == .pending else { return false }
    state = .running
    return true
  }

  func run() {
    callBody()
    queue.withLock { finishLocked() }
  }

  /// The closure and what it holds are released in here, before anybody who waits is told.
  @inline(never)
  private func callBody() {
    let body = queue.withLock { () -> (@Sendable () -> Void)? in
      defer { self.body = nil }
      return self.body
    }
    body?()
  }

  private func finishLocked() {
    state = .finished
    body = nil
    queue.announceFinishedLocked()
  }

  private func waitLocked() {
    while state != .finished { queue.waitForFinishedLocked() }
  }
}
