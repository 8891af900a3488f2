import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a run is told what became of each save, and is stopped only where it asked for that.
// Method: faults on a simulated disk around single saves.
@Suite("What became of a save")
struct OutcomeTests {
  private let disk = SimulatedDisk()

  private static let fullDisk = FaultPlan([.init(.write, occurrence: 1, .error(ENOSPC), .always)])

  @Test func savesAreDueAtMultiplesOfTheInterval() throws {
    let manager = try disk.manager(saving: .every(steps: 3))
    var trainer = ToyTrainer()
    var saved: [UInt64] = []
    for _ in 0..<10 {
      trainer.trainStep()
      switch try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": 1]) {
      case .notDue: #expect(trainer.step % 3 != 0)
      case .saved(let receipt, _):
        saved.append(receipt.step)
        #expect(receipt.generation == UInt64(saved.count))
        #expect(disk.contents(ofFileAt: receipt.path)?.count == Int(receipt.byteCount))
        #expect(receipt.stateByteCount == 192)
      case .failed(let error): throw error
      default: Issue.record("nothing runs in the background or asked the run to stop")
      }
    }
    #expect(saved == [3, 6, 9])
    try manager.finish()
  }

  @Test func aManualPolicyIsNeverDue() throws {
    let manager = try disk.manager(saving: .manual)
    guard case .notDue = try manager.stepCompleted(0, state: ToyTrainer()) else {
      Issue.record("a manual policy was due")
      return
    }
    try manager.saved(ToyTrainer(), step: 0)
  }

  @Test func aFailedSaveIsReportedAndTheRunGoesOn() throws {
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    trainer.trainStep()
    try manager.saved(trainer, step: 1)
    let intact = disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1))
    disk.faultPlan = Self.fullDisk
    let error = try manager.failure(trainer, step: 2)
    #expect(error.code == .outOfSpace)
    #expect(error.message.contains("Earlier checkpoints are intact"))
    #expect(disk.temporaries().isEmpty)
    #expect(disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1)) == intact)
    // The run ends here: its last state is not on disk.
    #expect(throws: error) { try manager.finish() }

    disk.faultPlan = FaultPlan()
    #expect(try manager.saved(trainer, step: 3).generation == 3)
    try manager.finish()
  }

  @Test func aFailedSaveIsThrownWhereThatWasAskedFor() throws {
    let manager = try disk.manager(onSaveFailure: .stop)
    disk.faultPlan = Self.fullDisk
    let error = try checkpointError { try manager.save(ToyTrainer(), step: 1) }
    #expect(error.code == .outOfSpace)
    #expect(throws: error) { try manager.finish() }
  }

  /// The syncs of a save: its file's, then its directory's.
  private func failDirectorySyncs(_ repetition: FaultPlan.Repetition) {
    var faults = [FaultPlan.Fault(.sync, occurrence: 1, .errorLosingChanges(EIO))]
    if repetition != .once { faults.append(.init(.sync, occurrence: 3, .errorLosingChanges(EIO))) }
    disk.faultPlan = FaultPlan(faults)
  }

  @Test func aFailedSyncOfTheDirectoryIsAnsweredByOneWholeNewSave() throws {
    let manager = try disk.manager(keeping: .last(1))
    let trainer = ToyTrainer.trained(1)
    failDirectorySyncs(.once)
    let receipt = try manager.saved(trainer, step: 1)
    #expect(receipt.generation == 2)
    // The first attempt stays: it may have been what survives a power cut.
    #expect(
      disk.checkpoints() == ["step-000000001.g000001.ckpt", "step-000000001.g000002.ckpt"])
    try manager.finish()
    for survivor in disk.postCrashStates() {
      var restored = ToyTrainer()
      let result = try survivor.manager().resume(&restored, from: .latest)
      #expect(result.checkpoint?.generation == 2)
      #expect(restored == trainer)
    }
  }

  @Test func aSecondFailedSyncIsReportedAndNothingIsRemoved() throws {
    let manager = try disk.manager(keeping: .last(1))
    var trainer = ToyTrainer()
    trainer.trainStep()
    try manager.saved(trainer, step: 1)
    trainer.trainStep()
    failDirectorySyncs(.times(2))
    let error = try manager.failure(trainer, step: 2)
    #expect(error.code == .durabilityUnknown)
    #expect(error.errno == EIO)
    #expect(disk.checkpoints().count == 3)
    #expect(throws: error) { try manager.finish() }
    // A later save settles it; the two in doubt neither count nor go in this process.
    disk.faultPlan = FaultPlan()
    trainer.trainStep()
    #expect(try manager.saved(trainer, step: 3).generation == 4)
    try manager.finish()
    #expect(disk.checkpoints().contains("step-000000003.g000004.ckpt"))
    #expect(!disk.checkpoints().contains("step-000000001.g000001.ckpt"))
    for survivor in disk.postCrashStates() {
      var restored = ToyTrainer()
      try survivor.manager().resume(&restored, from: .latest)
      #expect(restored == trainer)
    }
  }

  @Test func aFailedSyncOfTheFileIsNotRepeatedOnThatFile() throws {
    let manager = try disk.manager()
    disk.faultPlan = FaultPlan([.init(.sync, .errorLosingChanges(EIO))])
    let error = try manager.failure(ToyTrainer(), step: 1)
    #expect(error.code == .io)
    #expect(disk.checkpoints().isEmpty && disk.temporaries().isEmpty)
    #expect(try manager.saved(ToyTrainer(), step: 1).generation == 2)
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func everyFaultOfASaveLeavesTheEarlierCheckpointAndAnHonestOutcome(mode: SaveMode) throws {
    try disk.train(2)
    let callCount = try saveCallCount()
    #expect(callCount > 8)
    for index in 0..<callCount {
      for effect in [FaultPlan.Effect.error(EIO), .errorAfterEffect(EIO), .error(ENOSPC)] {
        let copy = disk.copy()
        let manager = try copy.manager(mode: mode)
        var trainer = ToyTrainer()
        try manager.resume(&trainer, from: .latest)
        trainer.trainStep()
        copy.faultPlan = FaultPlan([.init(occurrence: index, effect)])
        let outcome = try outcomeOfStep(manager, &trainer)
        copy.faultPlan = FaultPlan()
        copy.crash()
        for survivor in copy.postCrashStates(limit: 32) {
          var restored = ToyTrainer()
          try survivor.manager().resume(&restored, from: .latest)
          if case .saved = outcome {
            #expect(restored == trainer, "call \(index), \(effect)")
          } else {
            #expect([2, 3].contains(restored.step), "call \(index), \(effect)")
            #expect(restored == ToyTrainer.trained(restored.step))
          }
        }
      }
    }
  }

  /// Reports step 3, overwrites the trainer while a save in the background may be under way, and tells what
  /// came of it, which must be told once.
  private func outcomeOfStep(
    _ manager: CheckpointManager, _ trainer: inout ToyTrainer
  ) throws -> SaveResult {
    let atTheCall = trainer
    let told = try manager.stepCompleted(3, state: trainer)
    switch told {
    case .saved(let receipt, let report): return .saved(receipt, report)
    case .failed(let error): return .failed(error)
    default: break
    }
    trainer.weights = trainer.weights.map { _ in .nan }
    try manager.prewarm(trainer)  // Waits for it.
    trainer = atTheCall
    switch try manager.stepCompleted(3, state: trainer) {
    case .started(let start): return try #require(start.earlier)
    case .saved(let receipt, let report): return .saved(receipt, report)
    case .failed(let error): return .failed(error)
    default: throw TrainerError()
    }
  }

  /// How many system calls a save makes.
  private func saveCallCount() throws -> Int {
    let probe = disk.copy()
    let manager = try probe.manager()
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    let start = probe.operationCount
    try manager.saved(trainer, step: 3)
    return probe.operationCount - start
  }
}
