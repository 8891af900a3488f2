// snippet: choose-settings
import CheckpointTraining

func makeManager(directory: String) throws -> CheckpointManager {
  try CheckpointManager(
    directory: directory,
    saving: .every(steps: 1000) || .onImprovement(of: "eval_loss", .lowest),
    keeping: .last(3) + .best(1, of: "eval_loss", .lowest),
    stopping: StopPolicy(after: .seconds(6 * 3600)),
    onSaveFailure: .stop,
    options: StoreOptions(
      permissions: .inherit,  // as open as the directory; the default is .private
      compression: .always,  // also where the disk is faster; the default is .automatic
      chunkByteCount: 4 << 20,  // 4 MiB; the default is 1 MiB
      threads: 4,  // the default is one per processor
      lockTimeout: 60,  // seconds to wait for the run before this one; the default is 0
      writer: "my-trainer 1.2"))
}
// end of snippet

// snippet: choose-settings
func saveByHand(_ trainer: inout Trainer, _ manager: CheckpointManager) throws {
  try manager.resume(&trainer, from: .latest)
  if case .saved(let receipt, _) = try manager.save(trainer, step: trainer.step) {
    print("pin it with: touch DIRECTORY/.pin-\(receipt.checkpointIdentifier)")
  }
}
// end of snippet
