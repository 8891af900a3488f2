import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: what was saved comes back bit for bit, for every way in which a program can own its state.
// Method: three small programs, compiled as a newcomer would write them, on both kinds of disk.

/// A model that is a struct.
private struct Model: Checkpointable, Equatable {
  var weight: [Float]
  var bias: [Double]

  func save(to state: inout StateWriter) throws {
    try state.tensor("weight", weight, shape: [2, weight.count / 2])
    try state.tensor("bias", bias)
  }

  mutating func restore(from state: StateReader) throws {
    try state.tensor("weight", into: &weight)
    try state.tensor("bias", into: &bias)
  }
}

/// An optimizer that is a class, shared by reference.
private final class Optimizer: Checkpointable {
  var moments: [Float]
  var updateCount = 0

  init(_ count: Int) { moments = [Float](repeating: 0, count: count) }

  func save(to state: inout StateWriter) throws {
    try state.tensor("moments", moments)
    try state.value("update_count", updateCount)
  }

  func restore(from state: StateReader) throws {
    try state.tensor("moments", into: &moments)
    updateCount = try state.value("update_count")
  }
}

/// A trainer that is a class and has parts of both kinds.
private final class ClassTrainer: Checkpointable {
  var step = 0
  var models: [Model]
  let optimizer = Optimizer(3)

  init() { models = (0..<2).map { _ in Model(weight: [0, 0, 0, 0], bias: [0]) } }

  func train() {
    step += 1
    for index in models.indices {
      models[index].weight = models[index].weight.map { $0 + Float(index + step) / 3 }
      models[index].bias[0] -= 0.1
    }
    optimizer.moments[step % 3] += 1.5
    optimizer.updateCount += 2
  }

  func save(to state: inout StateWriter) throws {
    try state.value("step", step)
    for (index, model) in models.enumerated() { try state.scope("models/\(index)", model) }
    try state.scope("optimizer", optimizer)
  }

  func restore(from state: StateReader) throws {
    step = try state.value("step")
    for index in models.indices { try state.scope("models/\(index)", &models[index]) }
    try state.scope("optimizer", optimizer)
  }
}

/// An actor that owns its trainer and the manager; neither is Sendable, and neither leaves it.
private actor TrainingService {
  private var trainer = ToyTrainer()
  private let manager: CheckpointManager

  init(_ directory: String, _ device: StorageDevice) throws {
    manager = try CheckpointManager(
      directory: directory, saving: .every(steps: 2), options: StoreOptions(device: device))
  }

  func run(to stepCount: Int) throws -> (resumedAt: Int?, trainer: ToyTrainer) {
    let resumed = try manager.resume(&trainer, from: .latest)
    while trainer.step < stepCount {
      trainer.trainStep()
      try manager.stepCompleted(trainer.step, state: trainer)
    }
    try manager.finish()
    return (resumed.checkpoint?.step, trainer)
  }
}

@Suite("Round trip")
struct RoundTripTests {
  @Test(arguments: DiskKind.allCases)
  func aStructComesBackBitForBit(kind: DiskKind) throws {
    try kind.withStore { device, path in
      let options = StoreOptions(device: device)
      let saved = ToyTrainer.trained(7)
      do {
        let manager = try CheckpointManager(
          directory: path, saving: .manual, options: options)
        try manager.saved(saved, step: 7, metrics: ["loss": 0.25, "nan": .nan])
      }
      let manager = try CheckpointManager(directory: path, saving: .manual, options: options)
      var trainer = ToyTrainer()
      let result = try manager.resume(&trainer, from: .latest)
      #expect(trainer == saved)
      #expect(result.checkpoint?.step == 7)
      #expect(result.checkpoint?.generation == 1)
      #expect(result.checkpoint?.path == checkpointPath(step: 7, generation: 1, in: path))
      #expect(result.checkpoint?.metrics["loss"] == 0.25)
      #expect(result.checkpoint?.metrics["nan"]?.isNaN == true)
      #expect(result.skipped.isEmpty)
    }
  }

  @Test(arguments: DiskKind.allCases)
  func aClassAndItsPartsComeBackInPlace(kind: DiskKind) throws {
    try kind.withStore { device, path in
      let options = StoreOptions(device: device)
      let saved = ClassTrainer()
      for _ in 0..<5 { saved.train() }
      do {
        let manager = try CheckpointManager(directory: path, saving: .manual, options: options)
        try manager.saved(saved, step: saved.step)
      }
      let manager = try CheckpointManager(directory: path, saving: .manual, options: options)
      let trainer = ClassTrainer()
      let optimizer = trainer.optimizer
      try manager.resume(trainer, from: .latest)
      #expect(trainer.step == 5)
      #expect(trainer.models == saved.models)
      #expect(trainer.optimizer === optimizer)
      #expect(optimizer.moments == saved.optimizer.moments)
      #expect(optimizer.updateCount == 10)
      #expect(try stateDigest(of: trainer) == stateDigest(of: saved))
    }
  }

  @Test func anActorOwnsTrainerAndManager() async throws {
    let disk = SimulatedDisk()
    do {
      let service = try TrainingService("/run", disk.device)
      let first = try await service.run(to: 5)
      #expect(first.resumedAt == nil)
    }
    let service = try TrainingService("/run", disk.device)
    let second = try await service.run(to: 9)
    #expect(second.resumedAt == 4)
    #expect(second.trainer == ToyTrainer.trained(9))
  }

  @Test func theSameBytesForAnyNumberOfThreads() throws {
    let files = try [1, 2, 5].map { threads in
      let disk = SimulatedDisk()
      let manager = try CheckpointManager(
        directory: "/run", saving: .manual,
        options: StoreOptions(device: disk.device, chunkByteCount: 128, threads: threads))
      let receipt = try manager.saved(ToyTrainer.trained(3), step: 3)
      return disk.contents(ofFileAt: receipt.path)
    }
    #expect(files[0] != nil)
    #expect(files[1] == files[0])
    #expect(files[2] == files[0])
  }

  /// Tensors whose ends are no ends of chunks, on their way through all the memory that a save has.
  @Test(arguments: [Compression.none, .always], [SaveMode.blocking, .background(whenBusy: .wait)])
  func largeTensorsComeBackBitForBit(compression: Compression, mode: SaveMode) throws {
    let counts = [5_000_001, 3, 0, 700_001, 5_500_000]
    func values(_ step: Int, _ number: Int) -> [Float] {
      (0..<counts[number]).map { Float(($0 * 7919 + step * 31 + number) % 65_537 - 32_768) / 1021 }
    }
    func state(_ step: Int) -> ScriptedState {
      ScriptedState(onSave: { state in
        for number in counts.indices { try state.tensor("\(number)", values(step, number)) }
      })
    }
    for threads in [1, 2, 5] {
      let disk = SimulatedDisk()
      let options = StoreOptions(
        device: disk.device, compression: compression, chunkByteCount: 3 << 20, threads: threads)
      do {
        let manager = try CheckpointManager(
          directory: "/run", saving: .every(steps: 1), mode: mode, options: options)
        for step in 1...2 {
          try manager.stepCompleted(step, state: state(step))
        }
        try manager.finish()
      }
      var restored = state(0)
      restored.onRestore = { state in
        for number in counts.indices {
          // Not the arrays themselves: for an answer of false, their difference takes minutes.
          let isEqual = try state.tensor("\(number)", of: Float.self) == values(2, number)
          #expect(isEqual, "\(number), by \(threads) threads")
        }
      }
      let result = try disk.manager().resume(&restored, from: .latest)
      #expect(result.checkpoint?.step == 2)
    }
  }

  @Test func tensorsAreFoundByTheirNamesWhateverTheOrder() throws {
    let disk = SimulatedDisk()
    let saved = ScriptedState(onSave: { state in
      for number in 0..<5 { try state.tensor("optimizer/\(number)", [Int32(number)]) }
    })
    try disk.manager().saved(saved, step: 1)
    var found: [Int32] = []
    var other = ScriptedState(
      onSave: { state in
        for number in [3, 1, 4, 0, 2] { try state.tensor("optimizer/\(number)", [Int32(9)]) }
      },
      onRestore: { state in
        found = try [3, 1, 4, 0, 2].flatMap { try state.tensor("optimizer/\($0)", of: Int32.self) }
      })
    try disk.manager().resume(&other, from: .latest)
    #expect(found == [3, 1, 4, 0, 2])
  }
}
