import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: damage costs the damaged checkpoint and no more; it is told, kept, and never mixed in.
// Method: flips a bit of the newest file, before resuming or while its tensors are being restored.
@Suite("Falling back")
struct FallbackTests {
  private let disk = SimulatedDisk()
  private let newest = checkpointPath(step: 3, generation: 3)

  @Test func aFlippedBitCostsOneCheckpointAndIsTold() throws {
    try disk.train(3)
    try disk.damage(newest)
    let damaged = disk.contents(ofFileAt: newest)
    let manager = try disk.manager(keeping: .last(1))
    var trainer = ToyTrainer()
    let result = try manager.resume(&trainer, from: .latest)
    #expect(trainer == ToyTrainer.trained(2))
    #expect(result.checkpoint?.generation == 2)
    #expect(result.skipped.map(\.path) == [newest])
    #expect(result.skipped.first?.reason.code == .corrupted)
    #expect(result.skipped.first?.reason.location?.offset != nil)
    #expect(disk.contents(ofFileAt: newest) == damaged)
    for _ in 0..<4 {
      trainer.trainStep()
      #expect(try manager.saved(trainer, step: trainer.step).generation > 3)
      #expect(disk.contents(ofFileAt: newest) == damaged)
    }
    #expect(disk.checkpoints().count == 2)
  }

  @Test func whereEverythingIsDamagedNothingBeginsAfresh() throws {
    try disk.train(3)
    for step in 1...3 { try disk.damage(checkpointPath(step: step, generation: step)) }
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    let error = try checkpointError { try manager.resume(&trainer, from: .latest) }
    #expect(error.code == .noIntactCheckpoint)
    for step in 1...3 {
      #expect(error.message.contains(checkpointPath(step: step, generation: step)))
    }
    #expect(trainer == ToyTrainer())
    #expect(try checkpointError { try manager.save(trainer, step: 1) }.code == .notEmpty)
  }

  @Test func whatCannotBeReadIsNotPassedOver() throws {
    try disk.train(3)
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    disk.faultPlan = FaultPlan([.init(.read, .error(EIO), .always)])
    let error = try checkpointError { try manager.resume(&trainer, from: .latest) }
    #expect(error.code == .unreadable)
    #expect(error.message.contains("name its step, generation or path"))
    #expect(trainer == ToyTrainer())
  }

  /// A toy trainer during whose restore something happens, between its values and its tensors.
  private struct Interrupted: Checkpointable {
    var toy = ToyTrainer()
    /// Is told how many restores have begun.
    var event: (Int) -> Void = { _ in }
    var restoreCount = 0

    func save(to state: inout StateWriter) throws { try toy.save(to: &state) }

    mutating func restore(from state: StateReader) throws {
      restoreCount += 1
      toy.step = try state.value("step")
      try state.tensor("momentum", into: &toy.momentum)
      event(restoreCount)
      try toy.restore(from: state)
    }
  }

  @Test func damageDuringARestoreFallsBackCompletely() throws {
    try disk.train(3)
    let weights = ToyTrainer.trained(3).weights
    var trainer = Interrupted()
    trainer.event = { [disk, newest] count in
      if count == 1 { #expect(throws: Never.self) { try disk.damage(newest, in: weights) } }
    }
    let result = try disk.manager().resume(&trainer, from: .latest)
    #expect(trainer.restoreCount == 2)
    #expect(trainer.toy == ToyTrainer.trained(2))
    #expect(result.checkpoint?.generation == 2)
    #expect(result.skipped.map(\.path) == [newest])
    #expect(result.skipped.first?.reason.location?.tensor == "weights")
  }

  @Test func damageDuringEveryRestoreThrows() throws {
    try disk.train(3)
    var trainer = Interrupted()
    trainer.event = { [disk] count in
      let step = 4 - count
      #expect(throws: Never.self) {
        try disk.damage(
          checkpointPath(step: step, generation: step), in: ToyTrainer.trained(step).weights)
      }
    }
    let error = try checkpointError { try disk.manager().resume(&trainer, from: .latest) }
    #expect(error.code == .noIntactCheckpoint)
    #expect(trainer.restoreCount == 3)
  }

  @Test func filesThatVanishDuringARestoreAreNoFreshRun() throws {
    try disk.train(1)
    let path = checkpointPath(step: 1, generation: 1)
    var trainer = Interrupted()
    trainer.event = { [disk] _ in
      #expect(throws: Never.self) {
        try disk.damage(path, in: ToyTrainer.trained(1).weights)
        let backend = disk.device.backend
        let directory = try backend.openDirectory("/run")
        try backend.unlink("step-000000001.g000001.ckpt", in: directory)
        try backend.close(directory)
      }
    }
    let manager = try disk.manager()
    let error = try checkpointError { try manager.resume(&trainer, from: .latest) }
    #expect(error.code == .noIntactCheckpoint)
    #expect(error.message.contains("half restored"))
  }

  @Test func aReadErrorDuringARestoreStops() throws {
    try disk.train(2)
    var trainer = Interrupted()
    trainer.event = { [disk] _ in
      disk.faultPlan = FaultPlan([.init(.read, .error(EIO), .always)])
    }
    let error = try checkpointError { try disk.manager().resume(&trainer, from: .latest) }
    #expect(error.code == .unreadable)
    #expect(trainer.restoreCount == 1)
  }

  @Test(arguments: [RestoreStrictness.exact, .partial])
  func aDamagedTensorThatTheTrainerPassesOverIsNotRestored(strictness: RestoreStrictness) throws {
    try disk.train(1)
    let weights = ToyTrainer.trained(1).weights
    var trainer = ScriptedState(onSave: { try ToyTrainer().save(to: &$0) }) { [disk] state in
      #expect(throws: Never.self) {
        try disk.damage(checkpointPath(step: 1, generation: 1), in: weights)
      }
      var toy = ToyTrainer()
      try? toy.restore(from: state)
    }
    let manager = try disk.manager()
    let error = try checkpointError {
      try manager.resume(&trainer, from: .latest, strictness: strictness)
    }
    #expect(error.code == .noIntactCheckpoint)
  }

  @Test func nothingOfADamagedCheckpointStaysInAPartialRestore() throws {
    // The older checkpoint lacks what the newer one has already brought back.
    do {
      let manager = try disk.manager()
      try manager.saved(ScriptedState { try $0.tensor("a", [Float]([1])) }, step: 1)
      try manager.saved(
        ScriptedState {
          try $0.tensor("new", [Float]([2]))
          try $0.tensor("a", [Float]([3]))
        }, step: 2)
    }
    var restored: [String: [Float]] = [:]
    var trainer = ScriptedState(onRestore: { [disk] state in
      if state.descriptor(of: "new") != nil {
        restored["new"] = try state.tensor("new")
        #expect(throws: Never.self) {
          try disk.damage(checkpointPath(step: 2, generation: 2), in: [3])
        }
      }
      restored["a"] = try state.tensor("a")
    })
    let error = try checkpointError {
      try disk.manager().resume(&trainer, from: .latest, strictness: .partial)
    }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("'new'"))
    #expect(error.message.contains(checkpointPath(step: 1, generation: 1)))
  }
}
