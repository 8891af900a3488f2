import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: what a run was saved under is compared with what the program has now, graded as the program
// says, and refused, told or shown as asked; and nothing is restored where it is refused.
@Suite("The contract of a resume")
struct ResumeContractTests {
  private let disk = SimulatedDisk()

  private func manager(_ change: (inout ResumeContract) throws -> Void) throws -> CheckpointManager
  {
    var contract = ResumeContract()
    try change(&contract)
    return try CheckpointManager(
      directory: "/run", saving: .manual, contract: contract,
      options: .plain(on: disk.device))
  }

  private func save(_ change: (inout ResumeContract) throws -> Void) throws {
    let manager = try manager(change)
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    trainer.trainStep()
    try manager.saved(trainer, step: trainer.step)
  }

  private struct Arguments: Encodable {
    struct Optimizer: Encodable {
      var betas = [0.9, 0.99]
      var name = "adamw"
    }
    var batchSize = 8
    var rate: Double? = 0.5
    var optimizer = Optimizer()
    var seed = UInt64.max
    var isTied = true
  }

  @Test func differencesAreGradedAsTheProgramSays() throws {
    try save { contract in
      contract.state("code", "abc", ifDifferent: .harmless)
      contract.state("data", "one", ifDifferent: .refuse)
      contract.state("gone", "1", ifDifferent: .refuse)
      try contract.stateArguments(Arguments(), grades: ["seed": .refuse])
    }
    var changed = Arguments()
    changed.batchSize = 16
    changed.optimizer.betas[1] = 0.999
    let manager = try manager { contract in
      contract.state("code", "abd", ifDifferent: .harmless)
      contract.state("data", "one", ifDifferent: .refuse)
      contract.state("new", "1", ifDifferent: .refuse)
      try contract.stateArguments(changed, grades: ["seed": .refuse])
    }
    var trainer = ToyTrainer()
    let result = try manager.resume(&trainer, from: .latest)
    let different = result.differences.filter { $0.grade > .same }
    #expect(
      different.map { "\($0.name): \($0.saved ?? "-") → \($0.current ?? "-"), \($0.grade.text)" }
        == [
          "batchSize: 8 → 16, changes the trajectory",
          "optimizer.betas: [0.9, 0.99] → [0.9, 0.999], changes the trajectory",
          "code: abc → abd, harmless", "gone: 1 → -, harmless", "new: - → 1, harmless",
        ])
    let same = Set(result.differences.filter { $0.grade == .same }.map(\.name))
    #expect(
      same.isSuperset(of: [
        "data", "isTied", "optimizer.name", "rate", "seed", "library", "format", "architecture",
        "operating_system", "processors",
      ]))
    #expect(trainer.step == 1)
  }

  @Test func aRefusedDifferenceRestoresNothing() throws {
    try save { $0.state("data", "one", ifDifferent: .refuse) }
    let manager = try manager { $0.state("data", "two", ifDifferent: .refuse) }
    var trainer = ToyTrainer()
    let error = try checkpointError { try manager.resume(&trainer, from: .latest) }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("data: one → two (refuse)"))
    #expect(trainer == ToyTrainer())
    // Nothing has begun: the program may begin afresh deliberately.
    try manager.resume(&trainer, from: .never)
    try manager.saved(trainer, step: 1)
  }

  @Test func aStrictCheckRefusesWhatChangesTheTrajectory() throws {
    try save { $0.state("batch", "8", ifDifferent: .changesTrajectory) }
    let changed = { (contract: inout ResumeContract) in
      contract.state("batch", "9", ifDifferent: .changesTrajectory)
    }
    var trainer = ToyTrainer()
    do {
      let manager = try manager(changed)
      let error = try checkpointError {
        try manager.resume(&trainer, from: .latest, check: .strict)
      }
      #expect(error.code == .incompatibleState && error.message.contains("batch: 8 → 9"))
      #expect(trainer == ToyTrainer())
    }
    let result = try manager(changed).resume(&trainer, from: .latest)
    #expect(result.differences.first?.name == "batch" && trainer.step == 1)
    try disk.manager().resume(&trainer, from: .latest, check: .strict)
  }

  @Test func whatIsTakenFromTheCheckpointIsNoDifference() throws {
    let taking = { (contract: inout ResumeContract) in contract.takeFromCheckpoint("schedule") }
    let manager = try manager(taking)
    var trainer = ToyTrainer()
    #expect(try manager.resume(&trainer, from: .latest).differences.isEmpty)
    manager.contract.state("schedule", "100", ifDifferent: .refuse)
    try manager.saved(trainer, step: 1)
    let difference = try manager.resume(&trainer, from: .latest).differences
      .first { $0.name == "schedule" }
    #expect(difference?.grade == .same && difference?.current == "100")
    manager.contract.takeFromCheckpoint("schedule")
    let taken = try manager.previewResume(of: trainer, from: .latest).differences
      .first { $0.name == "schedule" }
    #expect(taken?.grade == .same && taken?.saved == "100" && taken?.current == "100")
    // Without a statement nothing is kept.
    try manager.saved(trainer, step: 2)
    #expect(
      try !manager.resume(&trainer, from: .latest).differences.contains { $0.name == "schedule" })
  }

  @Test func aProgramMayGradeByTheValues() throws {
    let stated = { (steps: Int) in
      { (contract: inout ResumeContract) in
        contract.state("max_steps", "\(steps)") { saved, current in
          Int(current) ?? 0 > Int(saved) ?? 0 ? .harmless : .changesTrajectory
        }
      }
    }
    try save(stated(100))
    for (steps, grade) in [(100, ResumeContract.Grade.same), (200, .harmless)] {
      let preview = try manager(stated(steps)).previewResume(of: ToyTrainer(), from: .latest)
      #expect(preview.differences.first { $0.name == "max_steps" }?.grade == grade)
      #expect(preview.grade == grade)
    }
    #expect(
      try manager(stated(50)).previewResume(of: ToyTrainer(), from: .latest).grade
        == .changesTrajectory)
  }

  @Test func aPreviewRestoresNothingAndChangesNothing() throws {
    try save { $0.state("data", "one", ifDifferent: .refuse) }
    let names = disk.names(inDirectoryAt: "/run")
    let manager = try manager { $0.state("data", "two", ifDifferent: .refuse) }
    let wider = ScriptedState(onSave: { try $0.tensor("weights", [Float](repeating: 0, count: 9)) })
    let preview = try manager.previewResume(of: wider, from: .latest)
    #expect(preview.checkpoint?.step == 1 && preview.grade == .refuse)
    #expect(preview.misfit?.message.contains("'weights' was saved as float32 [4, 6]") == true)
    #expect(preview.differences.first?.name == "data")
    #expect(disk.names(inDirectoryAt: "/run") == names)
    let path = checkpointPath(step: 1, generation: 1)
    #expect(try manager.previewResume(of: ToyTrainer(), from: .path(path)).misfit == nil)
    #expect(try manager.previewResume(of: ToyTrainer(), from: .path("/run")).checkpoint != nil)
    #expect(try manager.previewResume(of: ToyTrainer(), from: .never).checkpoint == nil)
    #expect(
      try checkpointError { _ = try manager.previewResume(of: wider, from: .nothing) }.code
        == .notEmpty)
    #expect(
      try checkpointError { _ = try manager.previewResume(of: wider, from: .step(9)) }.code
        == .notFound)
    #expect(try disk.manager("/new").previewResume(of: wider, from: .latest).grade == .same)
    let other = try disk.manager("/third").previewResume(of: wider, from: .latest(orElse: "/run"))
    #expect(other.checkpoint?.path == path)
  }

  @Test func aDamagedCheckpointIsPassedOverInAPreviewAsInAResume() throws {
    try disk.train(2)
    try disk.damage(checkpointPath(step: 2, generation: 2))
    let preview = try disk.manager().previewResume(of: ToyTrainer(), from: .latest)
    #expect(preview.checkpoint?.step == 1 && preview.skipped.count == 1)
  }

  @Test func aCheckpointWithoutAContractHasOnlyHarmlessDifferences() throws {
    let old = ScriptedState(onSave: { try $0.value("step", 1) })
    try disk.manager().saved(old, step: 1)
    let manager = try manager { $0.state("data", "two", ifDifferent: .refuse) }
    let preview = try manager.previewResume(of: old, from: .latest)
    #expect(preview.grade == .harmless)
  }
}
