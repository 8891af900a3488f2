import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: after a resume the metric must be what it was, else the run stops or an older checkpoint is tried.
@Suite("Validation of a resume")
struct ValidationTests {
  private let disk = SimulatedDisk()

  private static func loss(_ trainer: ToyTrainer) -> Double {
    Double(trainer.weights.reduce(0, +))
  }

  /// Saves three steps; what is measured at each is off by so much.
  private func save(offBy errors: [Double]) throws {
    let manager = try disk.manager()
    for (index, error) in errors.enumerated() {
      let trainer = ToyTrainer.trained(index + 1)
      try manager.saved(trainer, step: index + 1, metrics: ["loss": Self.loss(trainer) + error])
    }
  }

  private func resume(
    _ trainer: inout ToyTrainer, within tolerance: Double = 0,
    _ onMismatch: ResumeValidation<ToyTrainer>.OnMismatch = .stop
  ) throws -> ResumeResult {
    try disk.manager().resume(
      &trainer, from: .latest,
      validating: ResumeValidation("loss", within: tolerance, onMismatch: onMismatch) {
        Self.loss($0)
      })
  }

  @Test func theSameValuePasses() throws {
    try save(offBy: [0, 0])
    var trainer = ToyTrainer()
    let result = try resume(&trainer)
    let value = Self.loss(.trained(2))
    #expect(result.validation == .agrees(saved: value, measured: value))
    #expect(result.checkpoint?.step == 2)
  }

  @Test func anotherValueStopsTheRun() throws {
    try save(offBy: [0, 1e-9])
    var trainer = ToyTrainer()
    let error = try checkpointError { _ = try resume(&trainer) }
    #expect(error.code == .unhealthy && error.message.contains("restored it gives"))
    #expect(try resume(&trainer, within: 1e-6).checkpoint?.step == 2)
  }

  @Test func aRunThatDidNotPassSavesNothing() throws {
    try save(offBy: [1])
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    let error = try checkpointError {
      try manager.resume(
        &trainer, from: .path(checkpointPath(step: 1, generation: 1)),
        validating: ResumeValidation("loss") { Self.loss($0) })
    }
    #expect(error.code == .unhealthy)
    #expect(try checkpointError { _ = try manager.save(trainer, step: 2) }.code == .invalidState)
  }

  @Test func anOlderOneIsTriedIfThatWasAsked() throws {
    // A process that dies before its retention: readers hold what would have gone.
    var holds: [CheckpointReader] = []
    do {
      let manager = try disk.manager(keeping: .last(1))
      for (index, error) in [0, 0, 5, .infinity].enumerated() {
        let trainer = ToyTrainer.trained(index + 1)
        let receipt = try manager.saved(
          trainer, step: index + 1, metrics: ["loss": Self.loss(trainer) + error])
        holds.append(try CheckpointReader.open(path: receipt.path, on: disk.device, threads: 1))
      }
    }
    #expect(holds.count == disk.checkpoints().count)
    holds = []
    let manager = try disk.manager(keeping: .last(1))
    var trainer = ToyTrainer()
    let result = try manager.resume(
      &trainer, from: .latest,
      validating: ResumeValidation("loss", onMismatch: .tryOlder) { Self.loss($0) })
    #expect(result.checkpoint?.step == 2 && trainer == .trained(2))
    #expect(result.skipped.map(\.reason.code) == [.unhealthy, .unhealthy])
    // A person may want to look at what did not pass: nothing goes before the run has saved something.
    #expect(result.retention.removed.isEmpty && disk.checkpoints().count == 4)
    trainer.trainStep()
    try manager.stepCompleted(3, state: trainer)
    #expect(disk.checkpoints().count == 1)
  }

  @Test func afterOneThatDidNotPassOneThatNobodyCanTellOfIsNotTaken() throws {
    do {
      let manager = try disk.manager()
      try manager.saved(ToyTrainer.trained(1), step: 1, metrics: ["loss": Self.loss(.trained(1))])
      try manager.saved(ToyTrainer.trained(2), step: 2)
      try manager.saved(ToyTrainer.trained(3), step: 3, metrics: ["loss": 99])
    }
    var trainer = ToyTrainer()
    let result = try resume(&trainer, .tryOlder)
    #expect(result.checkpoint?.step == 1)
    #expect(result.skipped.last?.reason.message.contains("by which it could be validated") == true)
  }

  @Test func anErrorOfAnotherFileCondemnsNothing() throws {
    try save(offBy: [0, 0])
    try disk.manager("/other").saved(ToyTrainer(), step: 1)
    let path = checkpointPath(step: 1, generation: 1, in: "/other")
    try disk.damage(path)
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    let error = try checkpointError {
      try manager.resume(
        &trainer, from: .latest, damaged: .setAside,
        validating: ResumeValidation("loss", onMismatch: .tryOlder) { [disk] _ in
          let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
          if let finding = reader.verify(.full).findings.first { throw finding }
          return 0
        })
    }
    #expect(error.code == .corrupted && error.location?.path == path)
    #expect(disk.checkpoints().count == 2)
  }

  @Test func whereNonePassesTheRunStops() throws {
    try save(offBy: [1, 1])
    var trainer = ToyTrainer()
    let error = try checkpointError { _ = try resume(&trainer, .tryOlder) }
    #expect(error.code == .noIntactCheckpoint && error.message.contains("restored it gives"))
  }

  @Test func aCheckpointWithoutTheMetricIsNotValidated() throws {
    try disk.manager().saved(ToyTrainer.trained(1), step: 1)
    var trainer = ToyTrainer()
    #expect(try resume(&trainer).validation == .notSaved)
    let fresh = try SimulatedDisk().manager().resume(
      &trainer, from: .latest, validating: ResumeValidation("loss") { _ in throw TrainerError() })
    #expect(fresh.checkpoint == nil && fresh.validation == nil)
  }

  @Test func notANumberAgreesWithItselfAndErrorsPass() throws {
    let manager = try disk.manager()
    try manager.saved(ToyTrainer.trained(1), step: 1, metrics: ["loss": .nan])
    var trainer = ToyTrainer()
    try manager.resume(
      &trainer, from: .latest, validating: ResumeValidation("loss") { _ in .nan })
    #expect(throws: TrainerError(number: 3)) {
      try manager.resume(
        &trainer, from: .latest,
        validating: ResumeValidation("loss") { _ in throw TrainerError(number: 3) })
    }
  }
}
