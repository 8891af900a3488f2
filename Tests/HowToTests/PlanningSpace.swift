// snippet: plan-the-disk
import CheckpointTraining

func makeFrugalManager(
  _ directory: String, budget: UInt64 = 20 << 30, onSaveFailure: SaveFailurePolicy = .report,
  options: StoreOptions = StoreOptions()
) throws -> CheckpointManager {
  try CheckpointManager(
    directory: directory, saving: .every(steps: 500),
    keeping: .last(3).withinBudget(ofBytes: budget) + .best(1, of: "eval_loss", .lowest),
    space: SpacePolicy(
      preflight: .refuse, whenFull: .wait(every: .seconds(10), atMost: .seconds(3600))),
    onSaveFailure: onSaveFailure, options: options)
}
// end of snippet

// snippet: plan-the-disk
func tellRoom(for trainer: Trainer, with manager: CheckpointManager) throws -> Bool {
  let room = try manager.estimateSpace(for: trainer)
  let kept = room.keptCount.map { "\($0) kept" } ?? "kept without an end"
  print("\(room.checkpointByteCount) bytes each, \(kept), and one being saved:")
  print("\(room.neededByteCount) bytes more are needed, \(room.availableByteCount) are free")
  return room.fits
}
// end of snippet

// snippet: plan-the-disk
/// Trains on whether saves succeed or not; throws at the end if the last state is not on disk.
func trainThroughAFullDisk(
  _ trainer: inout Trainer, with manager: CheckpointManager, toStep lastStep: Int
) throws {
  var savedStep = try manager.resume(&trainer, from: .latest).checkpoint?.step ?? 0
  while trainer.step < lastStep {
    _ = trainer.trainStep()
    switch try manager.stepCompleted(trainer.step, state: trainer) {
    case .saved(let receipt, _): savedStep = Int(receipt.step)
    case .failed(let error) where error.code == .outOfSpace:
      print("the disk is full: a crash would lose what came after step \(savedStep)")
    case .failed(let error): throw error
    default: break
    }
  }
  try manager.finish(saving: trainer, step: trainer.step)
  try manager.finish()
}
// end of snippet
