// snippet: recover-after-a-crash
import CheckpointTraining

func resumeOrExplain(_ trainer: inout Trainer, with manager: CheckpointManager) throws {
  do {
    let result = try manager.resume(&trainer, from: .latest)
    for skipped in result.skipped { print("passed over:", skipped.reason) }
    if let checkpoint = result.checkpoint {
      print("going on after step \(checkpoint.step) from \(checkpoint.path)")
    } else {
      print("a fresh run")
    }
  } catch let error as CheckpointError {
    print("\(error.code): \(error.message)")
    throw error
  }
}
// end of snippet

// snippet: recover-after-a-crash
func goBack(to step: UInt64, _ trainer: inout Trainer, with manager: CheckpointManager) throws {
  try manager.resume(&trainer, from: .step(step))  // or .generation(7), or .path("runs/b")
}
// end of snippet

// snippet: recover-after-a-crash
func takeWeightsOnly(from path: String, _ model: inout Model, _ manager: CheckpointManager) throws {
  try manager.resume(
    &model, from: .path(path), strictness: .selected(.matching("weights")))
}

struct Model: Checkpointable {
  var weights = [Float](repeating: 0, count: 1024)

  func save(to state: inout StateWriter) throws {
    try state.tensor("weights", weights, shape: [32, 32])
  }

  mutating func restore(from state: StateReader) throws {
    try state.tensor("weights", into: &weights, shape: [32, 32])
  }
}
// end of snippet
