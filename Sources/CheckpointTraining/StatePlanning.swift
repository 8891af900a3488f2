internal import CheckpointEngine
internal import CheckpointFormat

/// Runs the two passes of a save over the root of a training state.
enum StatePlanning {
  /// The planning pass: what a save of `state` will contain.
  static func plan<State: Checkpointable>(_ state: State) throws -> SavePlan {
    let recorder = StateRecorder()
    try record(state, with: recorder)
    return recorder.plan
  }

  /// The writing pass, held to `plan`.
  static func write(
    _ state: some Checkpointable, plan: SavePlan, to sink: any StateSink
  ) throws {
    let recorder = StateRecorder(writing: plan, to: sink)
    try record(state, with: recorder)
    try recorder.requireComplete()
  }

  private static func record<State: Checkpointable>(
    _ state: State, with recorder: StateRecorder
  ) throws {
    try recorder.value(.stateVersion, "", .int64(Int64(State.stateVersion)))
    var writer = StateWriter(recorder)
    try state.save(to: &writer)
  }
}
