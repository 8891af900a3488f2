// snippet: requeue-on-a-cluster
import CheckpointTraining

/// Returns the exit status: 0 when the run is complete, 75 when it wants to be started again.
func train(_ trainer: inout Trainer, in directory: String, toStep lastStep: Int) throws -> Int32 {
  let manager = try CheckpointManager(
    directory: directory, saving: .every(steps: 500), keeping: .last(3),
    stopping: StopPolicy(on: [.terminate, .user1], gracePeriod: .seconds(90)),
    options: StoreOptions(lockTimeout: 120))  // a predecessor may still be dying
  try manager.resume(&trainer, from: .latest)
  if manager.stopReason != nil { return 75 }
  while trainer.step < lastStep {
    _ = trainer.trainStep()
    let outcome = try manager.stepCompleted(trainer.step, state: trainer)
    if case .stopRequested(let report) = outcome {
      return report.isSaved ? 75 : 1
    }
  }
  try manager.finish(saving: trainer, step: trainer.step)
  return 0
}
// end of snippet
