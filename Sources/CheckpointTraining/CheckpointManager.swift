public import CheckpointEngine
internal import CheckpointFormat

/// Saves a run's state when it is due, keeps what is wanted, and resumes.
///
/// ```swift
/// let manager = try CheckpointManager(
///   directory: "runs/a", saving: .every(steps: 500), keeping: .last(3))
/// try manager.resume(&trainer, from: .latest)
/// while trainer.step < 10_000 {
///   let loss = trainer.trainStep()
///   try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": loss])
/// }
/// try manager.finish()
/// ```
///
/// Not thread-safe: it belongs to the training loop. The trainer need not be Sendable.
public final class CheckpointManager {
  let store: CheckpointStore
  private let keeping: RetentionPolicy
  private let failurePolicy: SaveFailurePolicy
  private let stopWatch: StopWatch
  private var schedule: SaveSchedule
  private var hasBegun = false
  /// Whether a restore has begun and the run does not go on from it, or not yet.
  private var isRestoredOnly = false
  /// The step of the state that was saved or restored last.
  private var savedStep: Int?
  /// Why the last due save is not on disk.
  private var unsaved: CheckpointError?

  /// Opens a store for writing; creates its directory if there is none.
  ///
  /// - Parameters:
  ///   - directory: The store.
  ///   - saving: When to save.
  ///   - keeping: Which checkpoints to keep.
  ///   - stopping: What makes the run stop early; handlers are installed only for signals that it
  ///     names.
  ///   - onSaveFailure: Whether a failed save is reported or thrown.
  ///   - options: How files are kept.
  /// - Throws: ``CheckpointError``: `.busy` if another process has it open for writing, or another
  ///   manager of this process watches for signals; `.io`.
  public init(
    directory: String, saving: SavePolicy, keeping: RetentionPolicy = .all,
    stopping: StopPolicy = .never, onSaveFailure: SaveFailurePolicy = .report,
    options: StoreOptions = StoreOptions()
  ) throws(CheckpointError) {
    let now = options.device.timeSource.monotonic
    // First, so that a signal that arrives while the store is opened is not lost.
    stopWatch = try StopWatch(stopping, path: directory, now: now)
    store = try CheckpointStore(directory, for: .writing, options: options)
    schedule = SaveSchedule(saving, now: now)
    self.keeping = keeping
    failurePolicy = onSaveFailure
  }

  // MARK: Saving

  /// Tells the manager that a training step is complete; saves if that is due.
  ///
  /// A save blocks until the checkpoint is durable, and retention follows it.
  ///
  /// - Parameters:
  ///   - step: The number of steps completed.
  ///   - epoch: The number of epochs completed, for a policy that counts them.
  ///   - state: What is saved.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What was done.
  /// - Throws: What the state's `save(to:)` throws, unchanged; ``CheckpointError``: `.notEmpty` if
  ///   `resume(_:from:strictness:)` was not called and the store has checkpoints; a failed save
  ///   only where that was asked for.
  @discardableResult
  public func stepCompleted(
    _ step: Int, epoch: Int? = nil, state: some Checkpointable, metrics: [String: Double] = [:]
  ) throws -> StepOutcome {
    let isDue = schedule.completed(step, epoch: epoch, metrics: metrics)
    let expected = schedule.expectedCost
    guard let (reason, left) = stopWatch.request(expecting: expected) else {
      return isDue ? StepOutcome(try save(state, step: step, metrics: metrics)) : .notDue
    }
    let isSaved = savedStep == step && unsaved == nil
    return .stopRequested(
      StopReport(
        reason: reason, save: isSaved ? nil : try save(state, step: step, metrics: metrics),
        expectedSaveDuration: expected.map { .nanoseconds($0) },
        timeLeft: left.map { .nanoseconds($0) }))
  }

  /// Why the run should stop, if it should; for a program that is between two steps, or has not
  /// begun.
  public var stopReason: StopReason? {
    stopWatch.request(expecting: schedule.expectedCost)?.reason
  }

  /// The interval between saves to which a policy of overhead has come; nil without one.
  public var saveInterval: Duration? { schedule.chosenInterval.map { .nanoseconds($0) } }

  /// Saves now, whether it is due or not.
  ///
  /// - Parameters:
  ///   - state: What is saved.
  ///   - step: The number of steps completed.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What became of it.
  /// - Throws: As ``stepCompleted(_:epoch:state:metrics:)``.
  /// - Precondition: `step` is not negative.
  @discardableResult
  public func save(
    _ state: some Checkpointable, step: Int, metrics: [String: Double] = [:]
  ) throws -> SaveResult {
    precondition(step >= 0, "training steps are counted from 0")
    let start = store.options.device.timeSource.monotonic()
    let receipt: SaveReceipt
    do {
      try requireBegun()
      let plan = try plan(state, step: step, metrics: metrics)
      receipt = try saveDurably(state, plan, step: UInt64(step))
    } catch let failure as SaveFailure {
      schedule.saveEnded(began: start, succeeded: false)
      unsaved = failure.cause
      if failurePolicy == .stop { throw failure.cause }
      return .failed(failure.cause)
    } catch {
      unsaved =
        error as? CheckpointError
        ?? CheckpointError(
          .invalidState, "The state after step \(step) was not saved: save(to:) threw \(error).")
      throw error
    }
    unsaved = nil
    savedStep = step
    schedule.history.add(metrics, step: step)
    let retention = store.retain(keeping)
    // Retention is part of what a save costs.
    schedule.saveEnded(began: start, succeeded: true)
    return .saved(receipt, retention)
  }

  /// Ends the run's saving, and with it the watch for signals.
  ///
  /// The store stays locked until the manager is released.
  ///
  /// - Throws: ``CheckpointError`` if the last save is not durable: the one that made it fail.
  public func finish() throws(CheckpointError) {
    stopWatch.putBack()
    if let unsaved { throw unsaved }
  }

  /// Saves the state that the run ends with, unless that is on disk already, and ends the run's
  /// saving.
  ///
  /// - Parameters:
  ///   - state: What is saved.
  ///   - step: The number of steps completed.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What became of the save; nil if none was needed.
  /// - Throws: As ``stepCompleted(_:epoch:state:metrics:)`` and ``finish()``.
  @discardableResult
  public func finish(
    saving state: some Checkpointable, step: Int, metrics: [String: Double] = [:]
  ) throws -> SaveResult? {
    defer { stopWatch.putBack() }
    let isSaved = savedStep == step && unsaved == nil
    let result = isSaved ? nil : try save(state, step: step, metrics: metrics)
    try finish()
    return result
  }

  /// What the policy of this manager keeps and removes after the next save, newest first.
  ///
  /// - Returns: One decision for each checkpoint of the store.
  /// - Throws: As ``CheckpointStore/retentionPlan(_:)``.
  public func retentionPlan() throws(CheckpointError) -> [RetentionDecision] {
    try store.retentionPlan(keeping)
  }

  /// Removes what the process that saved a checkpoint still had to remove when it died.
  func finishRetention(of reader: CheckpointReader) -> RetentionReport {
    // What either policy keeps stays, until this run has saved something itself.
    store.finishRetention(RetentionPolicy(recordedIn: reader.metadata) + keeping)
  }

  /// What the file will contain; what this throws is the program's fault, not the disk's.
  private func plan(
    _ state: some Checkpointable, step: Int, metrics: [String: Double]
  ) throws -> SavePlan {
    var plan = try StatePlanning.plan(state)
    for (name, value) in metrics { try plan.metadata.add(.metric, name, .float64(value)) }
    var history = schedule.history
    history.add(metrics, step: step)
    history.record(in: &plan.metadata)
    Environment.record(keeping, completedEpochs: schedule.lastEpoch, in: &plan.metadata)
    return plan
  }

  /// Saves; repeats the whole save once if only its durability is in doubt.
  ///
  /// - Throws: ``SaveFailure`` if the store refused; everything else comes from `state`.
  private func saveDurably(
    _ state: some Checkpointable, _ plan: SavePlan, step: UInt64
  ) throws -> SaveReceipt {
    let write = { (sink: TensorSink) in
      try StatePlanning.write(state, plan: plan, to: sink)
    }
    do {
      do {
        return try store.save(plan, step: step, write: write)
      } catch let error as CheckpointError where error.code == .durabilityUnknown {
        return try store.save(plan, step: step, write: write)
      }
    } catch let failure as StateFailure {
      throw failure.cause
    } catch let error as CheckpointError {
      throw SaveFailure(cause: error)
    }
  }

  private func requireBegun() throws(CheckpointError) {
    guard !isRestoredOnly else {
      throw CheckpointError(
        .invalidState,
        "The trainer is not what the run has come to: resuming failed half-way, or it was restored "
          + "to look at the best. Make it anew and resume.",
        at: CheckpointError.Location(path: store.path))
    }
    guard !hasBegun else { return }
    try beginFreshRun(.nothing)
  }

  /// Begins a fresh run; refuses a store with checkpoints unless told otherwise.
  func beginFreshRun(_ source: ResumeSource) throws(CheckpointError) {
    if source == .nothing, let entry = try store.entries().first {
      throw CheckpointError(
        .notEmpty,
        "\(escaped(store.path)) already holds checkpoints, for example \(escaped(entry.name)), and "
          + "this run would begin afresh beside them. Resume from .latest before the first save, or "
          + "from .never if a fresh run is meant.",
        at: CheckpointError.Location(path: store.path))
    }
    store.beginFreshRun()
    hasBegun = true
  }

  /// From here on the trainer is no longer what it was.
  func restoringBegins() { isRestoredOnly = true }

  func continueRun(from reader: CheckpointReader, choice: ResumeChoice) {
    store.continueRun(from: reader, choice: choice)
    let step = Int(clamping: reader.header.step)
    schedule.resumed(
      at: step, epoch: Environment.completedEpochs(in: reader.metadata),
      MetricHistory(recordedIn: reader.metadata))
    savedStep = step
    unsaved = nil
    isRestoredOnly = false
    hasBegun = true
  }
}

/// Marks an error as the store's, so that it can be reported instead of thrown.
private struct SaveFailure: Error {
  let cause: CheckpointError
}
