import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: keeping the last N keeps N, over many saves and resumes, and never fewer than one.
// Method: long runs on a simulated disk, looked at after each save.
@Suite("Retention in a run")
struct RetentionTests {
  private let disk = SimulatedDisk()

  /// How many checkpoints of the store verify.
  private func intactCount() -> Int {
    let verifier = Verifier(on: disk.device, threads: 1)
    return disk.checkpoints().count { verifier.verify("/run/" + $0).isIntact }
  }

  @Test func neverMoreThanNAndNeverNone() throws {
    var trainer = ToyTrainer()
    for session in 0..<6 {
      let manager = try disk.manager(keeping: .last(2))
      try manager.resume(&trainer, from: .latest)
      #expect(trainer.step == session * 7)
      for _ in 0..<7 {
        trainer.trainStep()
        try manager.saved(trainer, step: trainer.step)
        #expect(disk.checkpoints().count <= 2)
        #expect(intactCount() == min(trainer.step, 2))
      }
      try manager.finish()
      trainer = ToyTrainer()
    }
  }

  @Test func withOneTheNewestIsReadBackBeforeItsPredecessorGoes() throws {
    let manager = try disk.manager(keeping: .last(1))
    for step in 1...4 {
      try manager.saved(ToyTrainer.trained(step), step: step)
      #expect(disk.checkpoints().count == 1)
      #expect(intactCount() == 1)
    }
  }

  // The same directory spelled in other ways is the same store.
  @Test(arguments: ["/run", "/run/", "//run", "/run/."])
  func whatARunWasResumedFromStaysUntilItHasNOfItsOwn(spelling: String) throws {
    try disk.train(5)
    let manager = try disk.manager(spelling, keeping: .last(2))
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .step(2))
    let origin = "step-000000002.g000002.ckpt"
    trainer.trainStep()
    try manager.saved(trainer, step: 3)
    #expect(
      disk.checkpoints() == [origin, "step-000000003.g000006.ckpt", "step-000000005.g000005.ckpt"])
    trainer.trainStep()
    try manager.saved(trainer, step: 4)
    #expect(
      disk.checkpoints() == ["step-000000003.g000006.ckpt", "step-000000004.g000007.ckpt"])
  }

  @Test func whatAPathNamedStaysAsWell() throws {
    try disk.train(5)
    let manager = try disk.manager(keeping: .last(2))
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .path("//run/step-000000001.g000001.ckpt"))
    try manager.saved(trainer, step: 2)
    #expect(disk.checkpoints().contains("step-000000001.g000001.ckpt"))
    #expect(disk.checkpoints().count == 3)
  }

  @Test func aFailedSaveRemovesNothing() throws {
    try disk.train(3)
    let manager = try disk.manager(keeping: .last(1))
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    disk.capacity = 0
    _ = try manager.failure(trainer, step: 4)
    #expect(disk.checkpoints().count == 3)
  }

  @Test func aRunThatKeepsAllRemovesNothing() throws {
    try disk.train(12)
    #expect(disk.checkpoints().count == 12)
  }

  @Test func aResumeFinishesTheRetentionThatTheDeadProcessOwed() throws {
    for step in 1...4 {
      // Killed after each save became durable and before anything was removed.
      let manager = try disk.manager(keeping: .last(2))
      var trainer = ToyTrainer()
      try manager.resume(&trainer, from: .latest)
      #expect(disk.checkpoints().count <= 2)
      disk.faultPlan = FaultPlan([.init(.unlink, .ignored, .always)])
      try manager.saved(trainer, step: step)
      disk.faultPlan = FaultPlan()
    }
    #expect(disk.checkpoints().count == 3)
  }

  @Test func aSmallerLimitRemovesNothingBeforeASave() throws {
    try disk.train(3)
    let manager = try disk.manager(keeping: .last(1))
    var trainer = ToyTrainer()
    #expect(try manager.resume(&trainer, from: .latest).retention.removed.isEmpty)
    #expect(disk.checkpoints().count == 3)
  }
}
