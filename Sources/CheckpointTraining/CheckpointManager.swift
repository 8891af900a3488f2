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
  private let saving: SavePolicy
  private let keeping: RetentionPolicy
  private let failurePolicy: SaveFailurePolicy
  private var hasBegun = false
  /// Whether a restore has begun that did not end well.
  private var isHalfRestored = false
  /// The step that was reported or restored last.
  private var lastStep: Int?
  /// Why the last due save is not on disk.
  private var unsaved: CheckpointError?

  /// Opens a store for writing; creates its directory if there is none.
  ///
  /// - Parameters:
  ///   - directory: The store.
  ///   - saving: When to save.
  ///   - keeping: Which checkpoints to keep.
  ///   - onSaveFailure: Whether a failed save is reported or thrown.
  ///   - options: How files are kept.
  /// - Throws: ``CheckpointError``: `.busy` if another process has it open for writing, `.io`.
  public init(
    directory: String, saving: SavePolicy, keeping: RetentionPolicy = .all,
    onSaveFailure: SaveFailurePolicy = .report, options: StoreOptions = StoreOptions()
  ) throws(CheckpointError) {
    store = try CheckpointStore(directory, for: .writing, options: options)
    self.saving = saving
    self.keeping = keeping
    failurePolicy = onSaveFailure
  }

  /// Tells the manager that a training step is complete; saves if that is due.
  ///
  /// A save blocks until the checkpoint is durable, and retention follows it.
  ///
  /// - Parameters:
  ///   - step: The number of steps completed.
  ///   - state: What is saved.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What was done.
  /// - Throws: What the state's `save(to:)` throws, unchanged; ``CheckpointError``: `.notEmpty` if
  ///   `resume(_:from:strictness:)` was not called and the store has checkpoints; a failed save
  ///   only where that was asked for.
  @discardableResult
  public func stepCompleted(
    _ step: Int, state: some Checkpointable, metrics: [String: Double] = [:]
  ) throws -> StepOutcome {
    // The first step may be any: it is due if it is a multiple itself.
    let isDue = saving.isDue(after: step, previous: lastStep ?? max(step - 1, 0))
    lastStep = step
    guard isDue else { return .notDue }
    return try save(state, step: step, metrics: metrics)
  }

  /// Saves now, whether it is due or not.
  ///
  /// - Parameters:
  ///   - state: What is saved.
  ///   - step: The number of steps completed.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: `.saved` or `.failed`.
  /// - Throws: As ``stepCompleted(_:state:metrics:)``.
  /// - Precondition: `step` is not negative.
  @discardableResult
  public func save(
    _ state: some Checkpointable, step: Int, metrics: [String: Double] = [:]
  ) throws -> StepOutcome {
    precondition(step >= 0, "training steps are counted from 0")
    let receipt: SaveReceipt
    do {
      try requireBegun()
      let plan = try plan(state, metrics: metrics)
      receipt = try saveDurably(state, plan, step: UInt64(step))
    } catch let failure as SaveFailure {
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
    return .saved(receipt, store.retain(keeping))
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

  /// Ends the run's saving.
  ///
  /// The store stays locked until the manager is released.
  ///
  /// - Throws: ``CheckpointError`` if the last save is not durable: the one that made it fail.
  public func finish() throws(CheckpointError) {
    if let unsaved { throw unsaved }
  }

  /// What the file will contain; what this throws is the program's fault, not the disk's.
  private func plan(
    _ state: some Checkpointable, metrics: [String: Double]
  ) throws -> SavePlan {
    var plan = try StatePlanning.plan(state)
    for (name, value) in metrics { try plan.metadata.add(.metric, name, .float64(value)) }
    Environment.record(keeping, in: &plan.metadata)
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
    guard !hasBegun else { return }
    guard !isHalfRestored else {
      throw CheckpointError(
        .invalidState,
        "Resuming failed half-way, and the trainer is neither what was saved nor what it was. Make it "
          + "anew and resume again.", at: CheckpointError.Location(path: store.path))
    }
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
  func restoringBegins() { isHalfRestored = true }

  func continueRun(from reader: CheckpointReader, choice: ResumeChoice) {
    store.continueRun(from: reader, choice: choice)
    lastStep = Int(clamping: reader.header.step)
    isHalfRestored = false
    hasBegun = true
  }
}

/// Marks an error as the store's, so that it can be reported instead of thrown.
private struct SaveFailure: Error {
  let cause: CheckpointError
}
