import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a run that fails leaves what it had come to, nothing goes on from that by itself, and what was
// saved at the last step needs nothing more.
@Suite("A run fails")
struct EmergencyTests {
  private let disk = SimulatedDisk()

  private var emergencies: [String] {
    (disk.names(inDirectoryAt: SimulatedDisk.store) ?? []).filter { $0.hasSuffix(".emergency") }
  }

  @Test func whatItHasComeToIsSavedAndNotResumedFrom() throws {
    var trainer = ToyTrainer.trained(1)
    do {
      let manager = try disk.manager(saving: .every(steps: 2))
      trainer.trainStep()
      try manager.stepCompleted(2, state: trainer)
      trainer.weights[0] = 77  // In the middle of a step.
      let result = manager.saveEmergency(trainer, step: 2, because: TrainerError(number: 5))
      guard case .lastStepIsSaved(2) = result else { throw TrainerError() }
    }
    #expect(emergencies.isEmpty)
    do {
      let manager = try disk.manager(saving: .manual)
      try manager.resume(&trainer, from: .latest)
      trainer.trainStep()
      try manager.stepCompleted(3, state: trainer)
      trainer.weights[0] = 77
      let result = manager.saveEmergency(trainer, step: 3, because: TrainerError(number: 5))
      guard case .saved(let receipt) = result else { throw TrainerError() }
      #expect(receipt.step == 3)
      let reader = try CheckpointReader.open(path: receipt.path, on: disk.device, threads: 1)
      #expect(reader.metadata.emergencyReason == "TrainerError(number: 5)")
    }
    #expect(emergencies.count == 1)
    // It is never the latest, and is found by its path.
    var resumed = ToyTrainer()
    let manager = try disk.manager(keeping: .last(1))
    #expect(try manager.resume(&resumed, from: .latest).checkpoint?.step == 2)
    let path = SimulatedDisk.store + "/" + (try #require(emergencies.first))
    #expect(try manager.resume(&resumed, from: .path(path)).checkpoint?.step == 3)
    #expect(resumed == trainer)
    // A run that goes on from it saves ordinary checkpoints, and it stays.
    try manager.stepCompleted(4, state: resumed)
    try manager.stepCompleted(5, state: resumed)
    #expect(emergencies.count == 1 && disk.checkpoints().count == 1)
  }

  @Test func aSaveUnderWayOfTheLastStepIsWaitedFor() throws {
    let manager = try disk.manager(mode: .background())
    let trainer = ToyTrainer.trained(1)
    try manager.stepCompleted(1, state: trainer)
    guard
      case .lastStepIsSaved(1) = manager.saveEmergency(trainer, step: 1, because: TrainerError())
    else { throw TrainerError() }
    #expect(emergencies.isEmpty && disk.checkpoints().count == 1)
  }

  @Test func aSaveOfTheLastStepThatFailedIsMadeUpFor() throws {
    let manager = try disk.manager(mode: .background())
    disk.faultPlan = FaultPlan([.init(.write, .error(EIO))])
    try manager.stepCompleted(1, state: ToyTrainer.trained(1))
    guard
      case .saved = manager.saveEmergency(
        ToyTrainer.trained(1), step: 1, because: TrainerError())
    else { throw TrainerError() }
    #expect(emergencies.count == 1)
  }

  @Test func itsHealthIsToldAndARunMayBeginAfreshBesideIt() throws {
    do {
      let manager = try disk.manager(checking: .finite)
      var trainer = ToyTrainer()
      trainer.weights[3] = .nan
      guard
        case .saved(let receipt) = manager.saveEmergency(
          trainer, step: 7, because: TrainerError())
      else { throw TrainerError() }
      #expect(receipt.unhealthyReason?.contains("weights") == true)
    }
    try disk.train(1, in: "/base")
    for source in [ResumeSource.latest, .nothing, .latest(orElse: "/base")] {
      let manager = try disk.copy().manager()
      var trainer = ToyTrainer()
      let result = try manager.resume(&trainer, from: source)
      #expect((result.checkpoint != nil) == (source == .latest(orElse: "/base")))
    }
  }

  @Test func aRunThatFailsAgainAtTheSameStepLeavesOne() throws {
    try disk.train(1)
    var results: [EmergencyResult] = []
    for _ in 0..<3 {
      let manager = try disk.manager(saving: .manual)
      var trainer = ToyTrainer()
      try manager.resume(&trainer, from: .latest)
      try manager.stepCompleted(2, state: trainer)
      results.append(manager.saveEmergency(trainer, step: 2, because: TrainerError()))
    }
    #expect(emergencies.count == 1)
    guard case .saved(let receipt) = results[0], case .isThereAlready(let path) = results[2] else {
      throw TrainerError()
    }
    #expect(path == receipt.path)
    // So does one that begins afresh each time, since it fails before its first save.
    let fresh = SimulatedDisk()
    for _ in 0..<3 {
      let manager = try fresh.manager(saving: .manual)
      var trainer = ToyTrainer()
      #expect(try manager.resume(&trainer, from: .latest).checkpoint == nil)
      _ = manager.saveEmergency(trainer, step: 2, because: TrainerError())
    }
    #expect(
      fresh.names(inDirectoryAt: SimulatedDisk.store)?.filter { $0.hasSuffix(".emergency") }.count
        == 1)
    // Another run at that step is another matter, and a step may be wrong.
    let manager = try disk.manager(saving: .manual)
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .never)
    _ = manager.saveEmergency(ToyTrainer(), step: -2, because: TrainerError())
    _ = manager.saveEmergency(ToyTrainer(), step: 2, because: TrainerError())
    #expect(emergencies.count == 3)
  }

  @Test func aProgramThatSavesByHandLosesNoStepsThatItDidNotReport() throws {
    let manager = try disk.manager(saving: .manual)
    var trainer = ToyTrainer.trained(5)
    try manager.stepCompleted(5, state: trainer)
    try manager.saved(trainer, step: 5)
    trainer = .trained(40)
    guard
      case .saved(let receipt) = manager.saveEmergency(
        trainer, step: 40, because: TrainerError())
    else { throw TrainerError() }
    #expect(receipt.step == 40)
  }

  /// An error whose description no file could hold as it is.
  private struct Verbose: Error, CustomStringConvertible {
    var description: String {
      "\u{0}\n\u{1b}[31m" + String(repeating: "\u{1f9ea}e\u{301}", count: 20_000)
    }
  }

  @Test func anyDescriptionOfAnErrorIsKeptAsFarAsThereIsRoom() throws {
    guard
      case .saved(let receipt) = try disk.manager().saveEmergency(
        ToyTrainer(), step: 0, because: Verbose())
    else { throw TrainerError() }
    let reader = try CheckpointReader.open(
      path: receipt.path, on: disk.device, limits: .strict, threads: 1)
    #expect(reader.verify(.full).isIntact)
    let reason = try #require(reader.metadata.emergencyReason)
    #expect(Verbose().description.hasPrefix(reason.prefix(100)))
    #expect((4000...4100).contains(reason.utf8.count))
  }

  @Test func whatCannotBeSavedIsToldAndNotThrown() throws {
    let manager = try disk.manager()
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    guard
      case .failed(let full) = manager.saveEmergency(
        ToyTrainer(), step: 0, because: TrainerError())
    else { throw TrainerError() }
    #expect((full as? CheckpointError)?.code == .outOfSpace)
    let broken = ScriptedState(onSave: { _ in throw TrainerError(number: 9) })
    guard case .failed(let own) = manager.saveEmergency(broken, step: 0, because: TrainerError())
    else { throw TrainerError() }
    #expect(own as? TrainerError == TrainerError(number: 9))
    #expect(emergencies.isEmpty && disk.temporaries().isEmpty)
  }

  @Test func aTrainerThatWasNotRestoredWholeIsNotSaved() throws {
    try disk.train(1)
    let manager = try disk.manager()
    var state = ScriptedState(onRestore: { _ in throw TrainerError() })
    state.onSave = { try ToyTrainer().save(to: &$0) }
    #expect(throws: TrainerError.self) { try manager.resume(&state, from: .latest) }
    guard case .failed(let error) = manager.saveEmergency(state, step: 1, because: TrainerError())
    else { throw TrainerError() }
    #expect((error as? CheckpointError)?.code == .invalidState)
  }
}
