internal import CheckpointEngine
internal import CheckpointFormat

/// Runs the two passes of a save over the root of a training state.
enum StatePlanning {
  /// The planning pass: what a save of `state` will contain.
  static func plan<State: Checkpointable>(_ state: State) throws -> SavePlan {
    try describe(state).plan
  }

  /// What a save of `state` will contain, and what its types declare to read older ones.
  static func describe<State: Checkpointable>(_ state: State) throws -> StateDescription {
    let recorder = StateRecorder()
    try record(state, with: recorder)
    return StateDescription(plan: recorder.plan, migrations: recorder.migrations)
  }

  /// The writing pass, held to `plan`.
  ///
  /// - Throws: ``StateFailure`` around everything but a refusal of `sink`.
  static func write(
    _ state: some Checkpointable, plan: SavePlan, to sink: any StateSink
  ) throws {
    let recorder = StateRecorder(writing: plan, to: sink)
    do {
      try record(state, with: recorder)
      try recorder.requireComplete()
    } catch {
      if let refusal = recorder.sinkFailure { throw refusal }
      throw StateFailure(cause: error)
    }
  }

  private static func record<State: Checkpointable>(
    _ state: State, with recorder: StateRecorder
  ) throws {
    try recorder.scope("", State.self)
    var writer = StateWriter(recorder)
    try state.save(to: &writer)
  }
}

/// What a state would save, and how its types read what older versions saved.
struct StateDescription {
  let plan: SavePlan
  let migrations: DeclaredMigrations
}

/// Marks an error as the training program's own, so that it is never taken for a failing disk.
struct StateFailure: Error {
  let cause: any Error
}
