internal import CheckpointEngine
internal import CheckpointFormat

// How a save is made, whether training waits for it or not.

extension CheckpointManager {
  /// Saves, and waits until the checkpoint is durable; nothing may be under way.
  func saveBlocking(
    _ state: some Checkpointable, _ step: Int, _ metrics: [String: Double]
  ) throws -> SaveResult {
    precondition(step >= 0, "training steps are counted from 0")
    let start = store.options.device.timeSource.monotonic()
    let result = try keepingError(of: step) {
      let plan = try plan(state, step: step, metrics: metrics)
      return try Self.save(plan, step: step, in: store, keeping: keeping) { sink in
        try StatePlanning.write(state, plan: plan, to: sink)
      }
    }
    note(result, step: step, metrics: metrics)
    guard case .failed(let error) = result else {
      isPostponed = false
      // Retention is part of what a save costs.
      schedule.saveReturned(began: start, succeeded: true)
      schedule.saveCompleted(began: start, at: store.options.device.timeSource.monotonic())
      return result
    }
    schedule.saveReturned(began: start, succeeded: false)
    if failurePolicy == .stop { throw error }
    return result
  }

  /// Copies a state and has it saved in the background; nothing may be under way.
  ///
  /// - Returns: false if there is no memory for the copy.
  func begin(
    _ state: some Checkpointable, _ step: Int, _ metrics: [String: Double], since start: UInt64
  ) throws -> Bool {
    precondition(step >= 0, "training steps are counted from 0")
    guard let background else { return false }
    let staged = try keepingError(of: step) { () -> SavePlan? in
      let plan = try plan(state, step: step, metrics: metrics)
      return try background.stage(state, plan) ? plan : nil
    }
    guard let plan = staged else { return false }
    background.begin(step: step, metrics: metrics, start: start) { [store, keeping] arena in
      do {
        return try Self.save(plan, step: step, in: store, keeping: keeping) { sink in
          try arena.write(to: sink)
        }
      } catch {
        // The copy throws nothing of its own.
        preconditionFailure("a save of copied bytes threw \(error)")
      }
    }
    schedule.stagedMetrics = metrics
    schedule.saveReturned(began: start, succeeded: true)
    return true
  }

  /// Takes note of what a save came to.
  func note(_ result: SaveResult, step: Int, metrics: [String: Double]) {
    switch result {
    case .saved:
      unsaved = nil
      savedStep = step
      schedule.history.add(metrics, step: step)
    case .failed(let error): unsaved = error
    }
  }

  /// Runs what may throw the program's own errors; after one, the state of a step is not saved.
  private func keepingError<Result>(of step: Int, _ body: () throws -> Result) throws -> Result {
    do {
      try requireBegun()
      return try body()
    } catch {
      unsaved =
        error as? CheckpointError
        ?? CheckpointError(
          .invalidState, "The state after step \(step) was not saved: save(to:) threw \(error).")
      throw error
    }
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
    contract.record(in: &plan.metadata)
    Environment.record(keeping, completedEpochs: schedule.lastEpoch, in: &plan.metadata)
    return plan
  }

  /// Saves, and removes what is not kept; repeats the whole save once if its durability is in doubt.
  ///
  /// Runs on any thread that alone uses the store.
  ///
  /// - Throws: What `write` throws for the state; a refusal of the store is a result.
  private static func save(
    _ plan: SavePlan, step: Int, in store: CheckpointStore, keeping: RetentionPolicy,
    write: (TensorSink) throws -> Void
  ) throws -> SaveResult {
    let receipt: SaveReceipt
    do {
      do {
        receipt = try store.save(plan, step: UInt64(step), write: write)
      } catch let error as CheckpointError where error.code == .durabilityUnknown {
        receipt = try store.save(plan, step: UInt64(step), write: write)
      }
    } catch let failure as StateFailure {
      throw failure.cause
    } catch let error as CheckpointError {
      return .failed(error)
    }
    return .saved(receipt, store.retain(keeping))
  }

  /// Removes what the process that saved a checkpoint still had to remove when it died.
  func finishRetention(of reader: CheckpointReader) -> RetentionReport {
    // What either policy keeps stays, until this run has saved something itself.
    store.finishRetention(RetentionPolicy(recordedIn: reader.metadata).union(keeping))
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
    // Steps may have been reported before the first save: they count.
    try requireEmpty()
    store.beginFreshRun()
    hasBegun = true
  }

  /// Begins a fresh run; refuses a store with checkpoints unless told otherwise.
  func beginFreshRun(_ source: ResumeSource) throws(CheckpointError) {
    if source == .nothing { try requireEmpty() }
    store.beginFreshRun()
    runBegins(at: nil, savedStep: nil)
  }

  /// Nothing of a run before is left.
  private func runBegins(at reader: CheckpointReader?, savedStep: Int?) {
    schedule.begin(
      at: reader.map { Int(clamping: $0.header.step) },
      epoch: reader.flatMap { Environment.completedEpochs(in: $0.metadata) },
      reader.map { MetricHistory(recordedIn: $0.metadata) } ?? MetricHistory())
    self.savedStep = savedStep
    unsaved = nil
    isPostponed = false
    isRestoredOnly = false
    hasBegun = true
  }

  /// Throws `.notEmpty` if the store has checkpoints.
  func requireEmpty() throws(CheckpointError) {
    if let entry = try store.entries().first {
      throw CheckpointError(
        .notEmpty,
        "\(escaped(store.path)) already holds checkpoints, for example \(escaped(entry.name)), and "
          + "this run would begin afresh beside them. Resume from .latest before the first save, or "
          + "from .never if a fresh run is meant.",
        at: CheckpointError.Location(path: store.path))
    }
  }

  /// From here on the trainer is no longer what it was.
  func restoringBegins() { isRestoredOnly = true }

  /// - Parameters:
  ///   - reader: The checkpoint that was restored.
  ///   - choice: Whether a person chose it.
  ///   - isWhole: Whether the trainer is what the checkpoint holds, and that lies in this store.
  func continueRun(from reader: CheckpointReader, choice: ResumeChoice, isWhole: Bool) {
    store.continueRun(from: reader, choice: choice)
    runBegins(at: reader, savedStep: isWhole ? Int(clamping: reader.header.step) : nil)
  }
}
