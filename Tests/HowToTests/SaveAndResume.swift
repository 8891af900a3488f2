// snippet: save-and-resume
import CheckpointTraining

func train(_ trainer: inout Trainer, in directory: String) throws {
  let manager = try CheckpointManager(
    directory: directory, saving: .every(steps: 500), keeping: .last(3))
  try manager.resume(&trainer, from: .latest)
  while trainer.step < 10_000 {
    let loss = trainer.trainStep()
    try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": loss])
  }
  try manager.finish()
}
// end of snippet

// snippet: save-and-resume
struct Trainer: Checkpointable {
  var step = 0
  var weights = [Float](repeating: 0.5, count: 1024)
  var momentum = [Float](repeating: 0, count: 1024)
  var generator: UInt64 = 1  // the state of a random generator, so that its numbers go on
  var configuration = ["learning_rate": 0.01]

  mutating func trainStep() -> Double {
    step += 1
    generator = generator &* 6_364_136_223_846_793_005 &+ 1
    let rate = Float(configuration["learning_rate"] ?? 0)
    for index in weights.indices {
      momentum[index] = 0.9 * momentum[index] + weights[index] - Float(generator >> 63)
      weights[index] -= rate * momentum[index]
    }
    return Double(momentum.reduce(0) { $0 + $1 * $1 })
  }

  func save(to state: inout StateWriter) throws {
    try state.value("step", step)
    try state.value("generator", generator)
    try state.codable("configuration", configuration)
    try state.tensor("weights", weights, shape: [32, 32])
    try state.tensor("momentum", momentum, shape: [32, 32])
  }

  mutating func restore(from state: StateReader) throws {
    step = try state.value("step")
    generator = try state.value("generator")
    configuration = try state.codable("configuration")
    try state.tensor("weights", into: &weights, shape: [32, 32])
    try state.tensor("momentum", into: &momentum, shape: [32, 32])
  }
}
// end of snippet

// snippet: save-and-resume
func report(_ outcome: StepOutcome) {
  switch outcome {
  case .notDue: break
  case .saved(let receipt, let retention):
    print("saved \(receipt.path) in \(receipt.seconds) s, removed \(retention.removed)")
    for warning in retention.warnings { print(warning) }
  case .failed(let error):
    print("not saved, training goes on:", error)
  case .started(let start):
    print("copied step \(start.step) in \(start.blocked)")
  case .postponed, .skipped: break
  case .stopRequested(let stopped):
    print("asked to stop by \(stopped.reason); saved: \(stopped.isSaved)")
  }
}
// end of snippet

// snippet: save-and-resume
final class ClassTrainer: Checkpointable {
  var layers = (0..<4).map { _ in Trainer() }  // parts that are structs
  let optimizer = Optimizer()  // a part that is a class

  func save(to state: inout StateWriter) throws {
    for (index, layer) in layers.enumerated() { try state.scope("layers/\(index)", layer) }
    try state.scope("optimizer", optimizer)
  }

  func restore(from state: StateReader) throws {
    for index in layers.indices { try state.scope("layers/\(index)", &layers[index]) }
    try state.scope("optimizer", optimizer)
  }
}

final class Optimizer: Checkpointable {
  static let stateVersion = 2
  var rate = 0.1
  var decay = 0.0

  func save(to state: inout StateWriter) throws {
    try state.value("rate", rate)
    try state.value("decay", decay)
  }

  func restore(from state: StateReader) throws {
    rate = try state.value("rate")
    decay = state.stateVersion < 2 ? 0 : try state.value("decay")  // version 1 had none
  }
}

func resume(_ trainer: ClassTrainer, with manager: CheckpointManager) throws -> Int {
  let result = try manager.resume(trainer, from: .latest)  // no &: a class is restored in place
  for skipped in result.skipped { print("passed over:", skipped.reason) }
  return result.checkpoint?.step ?? 0
}
// end of snippet

// snippet: save-and-resume
actor TrainingService {
  private var trainer = Trainer()
  private let manager: CheckpointManager

  init(directory: String) throws {
    manager = try CheckpointManager(directory: directory, saving: .every(steps: 100))
  }

  func run(to stepCount: Int) throws {
    try manager.resume(&trainer, from: .latest)
    while trainer.step < stepCount {
      let loss = trainer.trainStep()
      try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": loss])
    }
    try manager.finish()
  }
}
// end of snippet

// snippet: save-and-resume
/// A model whose head is tied to its embedding, and whose weights lie transposed in memory.
struct TiedModel: Checkpointable {
  var embedding = [Float](repeating: 1, count: 6)
  var columns: [[Float]] = [[1, 2], [3, 4], [5, 6]]

  func save(to state: inout StateWriter) throws {
    try state.tensor("embedding", embedding)
    try state.alias("head", of: "embedding")
    try unsafe state.tensor("weights", dtype: .float32, shape: [2, 3]) { offset, target in
      for place in 0..<target.count / 4 {
        let index = Int(offset) / 4 + place
        unsafe target.storeBytes(
          of: columns[index % 3][index / 3], toByteOffset: place * 4, as: Float.self)
      }
    }
  }

  mutating func restore(from state: StateReader) throws {
    embedding = try state.tensor("embedding", shape: [6])
    let rows = try state.tensor("weights", of: Float.self, shape: [2, 3])
    columns = (0..<3).map { [rows[$0], rows[3 + $0]] }
  }
}
// end of snippet
