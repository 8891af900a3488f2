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

// snippet: requeue-on-a-cluster
/// Resumes one of several processes; `share` gives all of them what the first one has.
func join(
  _ trainer: inout Trainer, isFirst: Bool, in directory: String,
  share: (UInt64?) throws -> UInt64?
) throws -> CheckpointManager {
  if isFirst {
    let manager = try CheckpointManager(
      directory: directory, saving: .every(steps: 500), keeping: .last(3),
      options: StoreOptions(lockTimeout: 120))
    let result = try manager.resume(&trainer, from: .latest)
    _ = try share(result.checkpoint?.generation)
    return manager
  }
  let generation = try share(nil)  // waits for the first one, which makes the directory
  let manager = try CheckpointManager(directory: directory, for: .reading, saving: .manual)
  try manager.resume(&trainer, from: generation.map { .generation($0) } ?? .never)
  return manager
}
// end of snippet
