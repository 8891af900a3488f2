// snippet: go-back-to-health
import CheckpointTraining

func makeWatchfulManager(_ directory: String) throws -> CheckpointManager {
  try CheckpointManager(
    directory: directory, saving: .every(steps: 100), keeping: .last(2),
    checking: .finite + .noSpike(of: "loss", above: 3))
}

/// Goes back behind what went wrong.
func resumeHealthy(_ trainer: inout Trainer, with manager: CheckpointManager) throws {
  let result = try manager.resume(&trainer, from: .latestHealthy, damaged: .setAside)
  for skipped in result.skipped { print("left behind:", skipped.reason.message) }
  for path in result.setAside { print("set aside:", path) }
}
// end of snippet

// snippet: go-back-to-health
/// Measures again what was measured when the checkpoint was saved.
func resumeMeasuring(
  _ trainer: inout Trainer, with manager: CheckpointManager, within tolerance: Double = 0,
  onMismatch: ResumeValidation<Trainer>.OnMismatch = .stop
) throws -> ResumeResult {
  try manager.resume(
    &trainer, from: .latest,
    validating: ResumeValidation("eval_loss", within: tolerance, onMismatch: onMismatch) {
      $0.evaluate()
    })
}
// end of snippet

// snippet: go-back-to-health
/// Trains, and if that fails leaves what the run has come to.
func trainOrLeaveTraces(
  _ trainer: inout Trainer, with manager: CheckpointManager, toStep lastStep: Int
) throws {
  do {
    while trainer.step < lastStep {
      let loss = trainer.trainStep()
      guard loss.isFinite else { throw Diverged(step: trainer.step, loss: loss) }
      try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": loss])
    }
    try manager.finish(saving: trainer, step: trainer.step)
  } catch {
    manager.saveEmergency(trainer, step: trainer.step, because: error)
    throw error
  }
}

/// Why each emergency checkpoint of a store was left, by its path.
func emergencies(in directory: String) throws -> [String: String] {
  let store = try CheckpointStore(directory, for: .reading)
  var reasons: [String: String] = [:]
  for entry in try store.entries() where entry.role == .emergency {
    reasons[entry.path] = try store.open(entry).metadata.emergencyReason
  }
  return reasons
}
// end of snippet

// snippet: go-back-to-health
/// Lists what came from what; a star marks what led to the newest.
func branches(of directory: String) throws -> [String] {
  try CheckpointStore(directory, for: .reading).lineage().map { node in
    "\(node.leadsToNewest ? "*" : " ") branch \(node.branch), step \(node.entry.step)"
  }
}
// end of snippet

struct Diverged: Error {
  let step: Int
  let loss: Double
}

extension Trainer {
  func evaluate() -> Double {
    weights.enumerated().reduce(0) { $0 + Double($1.element) * Double($1.offset % 3) }
  }
}
