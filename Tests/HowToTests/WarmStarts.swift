// snippet: begin-from-another-run
import CheckpointTraining

/// Features that another run has learned, and a head for as many classes as there are now.
struct Classifier: Checkpointable {
  var step = 0
  var features = [Float](repeating: 0.01, count: 64)
  var head: [Float]
  var momentum = [Float](repeating: 0, count: 64)
  let classCount: Int

  init(classCount: Int) {
    self.classCount = classCount
    head = [Float](repeating: 0.02, count: 8 * classCount)
  }

  func save(to state: inout StateWriter) throws {
    try state.value("step", step)
    try state.tensor("model/features", features, shape: [8, 8])
    try state.tensor("model/head", head, shape: [classCount, 8])
    try state.tensor("optimizer/momentum", momentum, shape: [8, 8])
  }

  mutating func restore(from state: StateReader) throws {
    step = try state.value("step")
    try state.tensor("model/features", into: &features)
    try state.tensor("model/head", into: &head)
    try state.tensor("optimizer/momentum", into: &momentum)
  }
}

/// Goes on if this run has begun, and begins it with the weights of another one if not.
func beginOrGoOn(
  _ classifier: inout Classifier, with manager: CheckpointManager, from base: String
) throws {
  guard try manager.resume(&classifier, from: .latest).checkpoint == nil else { return }
  let report = try manager.warmStart(
    &classifier, from: base, restoring: .matching("model/**"), misfits: .leave)
  print("from \(base):", report.restored)  // ["model/features"]
  print("new:", report.missing)  // ["model/head"]: it has another shape
  guard report.missing.allSatisfy({ $0 == "model/head" }) else {
    throw UnfitBase(missing: report.missing)
  }
}

struct UnfitBase: Error {
  let missing: [String]
}
// end of snippet

// snippet: begin-from-another-run
/// Goes on with a run, its step and its place in the data, with moments that begin anew.
func resumeWithNewOptimizer(
  _ classifier: inout Classifier, with manager: CheckpointManager
) throws {
  let rest = StateSelection.everything.excluding("optimizer/**")
  try manager.resume(&classifier, from: .latest, strictness: .selected(rest))
}
// end of snippet

extension Classifier {
  mutating func trainStep() {
    step += 1
    for index in features.indices {
      momentum[index] = 0.9 * momentum[index] + features[index] - Float(index % 7) / 7
      features[index] -= 0.1 * momentum[index]
    }
    for index in head.indices { head[index] += features[index % 8] / Float(1 + index / 8) }
  }
}
