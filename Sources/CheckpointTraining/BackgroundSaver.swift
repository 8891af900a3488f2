internal import CheckpointEngine
internal import CheckpointStorage

/// Saves staged copies on a thread of its own, one at a time.
final class BackgroundSaver {
  /// What is known of a save that was begun.
  struct Begun {
    let step: Int
    let metrics: [String: Double]
    /// When its staging began.
    let start: UInt64
    fileprivate let job: Job
    fileprivate let result: Protected<Ended?>
  }

  /// How a save ended.
  struct Ended {
    let result: SaveResult
    /// When it ended.
    let time: UInt64
  }

  private let pool = WorkerPool(threadCount: 1, priority: .low)
  private let arena = StagingArena()
  private let isHurried = Protected(false)
  private let now: @Sendable () -> UInt64
  private(set) var begun: Begun?

  /// - Parameter now: A clock in nanoseconds that never goes back.
  init(now: @escaping @Sendable () -> UInt64) { self.now = now }

  deinit { hurry() }

  /// Makes room for a state and touches it.
  func prepare(byteCount: UInt64) -> Bool {
    guard begun == nil, arena.prepare(byteCount: byteCount) else { return false }
    arena.touch()
    return true
  }

  /// Copies a state; nothing may be under way.
  ///
  /// - Returns: false if there is no memory for the copy.
  func stage(_ state: some Checkpointable, _ plan: SavePlan) throws -> Bool {
    precondition(begun == nil, "one save is under way at a time")
    guard arena.prepare(byteCount: plan.byteCount) else { return false }
    do {
      try StatePlanning.write(state, plan: plan, to: arena)
    } catch let failure as StateFailure {
      throw failure.cause
    }
    return true
  }

  /// Has the thread save what was staged.
  ///
  /// - Parameters:
  ///   - step: The step of the state.
  ///   - metrics: What was measured at it.
  ///   - start: When the staging began.
  ///   - save: Saves and retains; is run on the thread, and is given the staged bytes and whether to
  ///     give up waiting.
  func begin(
    step: Int, metrics: [String: Double], start: UInt64,
    _ save: @escaping (StagingArena, () -> Bool) -> SaveResult
  ) {
    let result = Protected<Ended?>(nil)
    // SAFETY: until the job has ended the manager touches neither the arena nor what `save` uses: it
    // waits for the job before each use of its store.
    nonisolated(unsafe) let arena = arena
    nonisolated(unsafe) let save = save
    let now = now
    let isHurried = isHurried
    isHurried.withLock { $0 = false }
    let job = pool.submit {
      let outcome = unsafe save(arena) { isHurried.withLock { $0 } }
      result.withLock { $0 = Ended(result: outcome, time: now()) }
    }
    begun = Begun(step: step, metrics: metrics, start: start, job: job, result: result)
  }

  /// Whether a save is under way and has not ended.
  var isBusy: Bool { begun.map { !$0.job.isFinished } ?? false }

  /// Has a save that waits for room give up.
  func hurry() { isHurried.withLock { $0 = true } }

  /// Waits for the save that was begun, and tells how it ended; nil if there was none.
  func end() -> (begun: Begun, ended: Ended)? {
    guard let begun else { return nil }
    begun.job.wait()
    guard let ended = begun.result.withLock({ $0 }) else {
      preconditionFailure("a job that has ended has left its result")
    }
    self.begun = nil
    return (begun, ended)
  }
}
