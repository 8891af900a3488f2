internal import CheckpointEngine
internal import CheckpointFormat

// How a save is made, whether training waits for it or not.

extension CheckpointManager {
  var runner: SaveRunner {
    SaveRunner(store: store, keeping: keeping, whenFull: space.whenFull, events: events)
  }

  /// Saves, and waits until the checkpoint is durable; nothing may be under way.
  func saveBlocking(
    _ state: some Checkpointable, _ step: Int, _ metrics: [String: Double]
  ) throws -> SaveResult {
    let start = store.options.device.timeSource.monotonic()
    let result = try keepingError(of: step) {
      var plan = try plan(state, step: step, metrics: metrics)
      try scan(state, &plan, step, metrics)
      events.emit(
        .saveStarted(step: step, stateByteCount: plan.byteCount, isInBackground: false))
      let expected = schedule.expectedDuration
      return try runner.save(plan, step: step) {
        stopWatch.request(expecting: expected) != nil
      } write: { sink in
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

  /// Looks at the tensors of a state, and marks it if they are not what they should be.
  func scan(
    _ state: some Checkpointable, _ plan: inout SavePlan, _ step: Int, _ metrics: [String: Double]
  ) throws {
    guard plan.metadata.unhealthyReason == nil, let scanner = health.scanner(of: plan) else {
      return
    }
    try Self.unwrapping { try StatePlanning.write(state, plan: plan, to: scanner) }
    mark(step, metrics, scanner.objection).apply(to: &plan.metadata)
  }

  /// Copies a state and has it saved in the background; nothing may be under way.
  ///
  /// - Returns: false if there is no memory for the copy.
  func begin(
    _ state: some Checkpointable, _ step: Int, _ metrics: [String: Double], since start: UInt64
  ) throws -> Bool {
    guard let background else { return false }
    let staged = try keepingError(of: step) { () -> SavePlan? in
      let plan = try plan(state, step: step, metrics: metrics)
      return try background.stage(state, plan) ? plan : nil
    }
    guard let plan = staged else { return false }
    events.emit(.saveStarted(step: step, stateByteCount: plan.byteCount, isInBackground: true))
    events.emit(
      .copied(
        step: step, byteCount: plan.byteCount,
        blocked: .nanoseconds(store.options.device.timeSource.monotonic() - start)))
    let (marked, question) = (mark(step, metrics, nil), stopWatch.question)
    let expected = schedule.expectedDuration
    background.begin(step: step, metrics: metrics, start: start) {
      [runner, health] arena, isHurried in
      do {
        var plan = plan
        if plan.metadata.unhealthyReason == nil, let scanner = health.scanner(of: plan) {
          try arena.write(plan, to: scanner)
          marked.with(scanner.objection).apply(to: &plan.metadata)
        }
        return try runner.save(plan, step: step) {
          isHurried() || question.request(expecting: expected) != nil
        } write: { sink in
          try arena.write(plan, to: sink)
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
    case .saved(let receipt, _):
      unsaved = nil
      savedStep = step
      schedule.history.add(metrics, step: step, isHealthy: receipt.unhealthyReason == nil)
    case .failed(let error): unsaved = error
    }
  }

  /// Runs what may throw the program's own errors; after one, the state of a step is not saved.
  func keepingError<Result>(of step: Int, _ body: () throws -> Result) throws -> Result {
    precondition(step >= 0, "training steps are counted from 0")
    do {
      try requireBegun()
      return try body()
    } catch {
      let reason =
        error as? CheckpointError
        ?? CheckpointError(
          .invalidState, "The state after step \(step) was not saved: save(to:) threw \(error).")
      unsaved = reason
      events.emit(.failed(step: step, reason))
      throw error
    }
  }

  /// Throws the program's own error and not what it was wrapped in.
  static func unwrapping(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let failure as StateFailure {
      throw failure.cause
    }
  }

  /// What the file will contain; what this throws is the program's fault, not the disk's.
  func plan(
    _ state: some Checkpointable, step: Int, metrics: [String: Double]
  ) throws -> SavePlan {
    var plan = try StatePlanning.plan(state)
    for (name, value) in metrics { try plan.metadata.add(.metric, name, .float64(value)) }
    contract.record(in: &plan.metadata)
    mark(step, metrics, objection).apply(to: &plan.metadata)
    health.record(in: &plan.metadata)
    Environment.record(keeping, completedEpochs: schedule.lastEpoch, in: &plan.metadata)
    warmStart.record(in: &plan.metadata)
    return plan
  }

  /// What stands in a checkpoint of its health, and of what was measured on the way to it.
  private func mark(_ step: Int, _ metrics: [String: Double], _ objection: String?) -> HealthMark {
    HealthMark(
      history: schedule.history, step: step, metrics: metrics, objection: objection)
  }

  /// Removes what the process that saved a checkpoint still had to remove when it died.
  func finishRetention(of reader: CheckpointReader) -> RetentionReport {
    // What either policy keeps stays, until this run has saved something itself.
    let report = store.finishRetention(
      RetentionPolicy(recordedIn: reader.metadata).union(keeping))
    runner.tell(report)
    return report
  }

  /// Why a manager that only reads does not save.
  var readsOnly: CheckpointError {
    CheckpointError(
      .invalidState, "\(escaped(store.path)) was opened for reading: nothing is saved in it.",
      at: CheckpointError.Location(path: store.path))
  }

  func requireBegun() throws(CheckpointError) {
    guard store.isWritable else { throw readsOnly }
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
}

/// The health of a state, and the history that follows from it.
private struct HealthMark {
  let history: MetricHistory
  let step: Int
  let metrics: [String: Double]
  var objection: String?

  func with(_ objection: String?) -> HealthMark {
    HealthMark(history: history, step: step, metrics: metrics, objection: objection)
  }

  func apply(to metadata: inout Metadata) {
    var history = history
    history.add(metrics, step: step, isHealthy: objection == nil)
    history.record(in: &metadata)
    metadata.markUnhealthy(objection)
  }
}
