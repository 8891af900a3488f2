import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: each way to begin a run takes exactly the checkpoint it names, or says why it cannot.
// Method: a store with steps 1 to 4 on a simulated disk, resumed in every way.
@Suite("Where a run begins")
struct ResumeSourceTests {
  private let disk = SimulatedDisk()

  private func resume(
    _ source: ResumeSource, in path: String = SimulatedDisk.store
  ) throws -> (trainer: ToyTrainer, result: ResumeResult) {
    var trainer = ToyTrainer()
    let result = try disk.manager(path).resume(&trainer, from: source)
    return (trainer, result)
  }

  @Test func latestOfAnEmptyStoreIsAFreshRun() throws {
    let (trainer, result) = try resume(.latest)
    #expect(trainer == ToyTrainer())
    #expect(result.checkpoint == nil && result.skipped.isEmpty)
  }

  @Test func latestIsTheHighestGenerationAndNotTheHighestStep() throws {
    try disk.train(4)
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .step(2))
    try manager.saved(trainer, step: 2)
    #expect(disk.checkpoints().contains("step-000000002.g000005.ckpt"))
  }

  @Test func latestOrElseTakesTheOtherOnlyWhereThereIsNothing() throws {
    try disk.train(3, in: "/other")
    let (trainer, result) = try resume(.latest(orElse: "/other"))
    #expect(trainer == ToyTrainer.trained(3))
    #expect(result.checkpoint?.path.hasPrefix("/other/") == true)
    try disk.train(2)
    #expect(try resume(.latest(orElse: "/other")).trainer == ToyTrainer.trained(2))
    #expect(try resume(.latest(orElse: "/nowhere")).trainer == ToyTrainer.trained(2))
    let error = try checkpointError { _ = try resume(.latest(orElse: "/nowhere"), in: "/empty") }
    #expect(error.code == .notFound)
    // Damage is no emptiness.
    for name in disk.checkpoints() { try disk.damage("/run/" + name) }
    let damaged = try checkpointError { _ = try resume(.latest(orElse: "/other")) }
    #expect(damaged.code == .noIntactCheckpoint)
  }

  /// Saves steps with these losses.
  private func save(_ losses: [Double?], resuming source: ResumeSource) throws {
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: source)
    for loss in losses {
      trainer.trainStep()
      try manager.saved(trainer, step: trainer.step, metrics: loss.map { ["loss": $0] } ?? [:])
    }
  }

  @Test func theBestIsThatOfTheLineage() throws {
    let best = ResumeSource.best(of: "loss", .lowest)
    #expect(try resume(best).result.checkpoint == nil)
    try save([5, 1, .nan, nil], resuming: .latest)
    #expect(try resume(best).trainer == ToyTrainer.trained(2))
    #expect(try resume(.best(of: "loss", .highest)).trainer == ToyTrainer.trained(1))
    let missing = try checkpointError { _ = try resume(.best(of: "accuracy", .highest)) }
    #expect(missing.code == .notFound && missing.message.contains("accuracy"))

    // Taken back to step 1: step 2 had the best value, and is no ancestor any more.
    try save([4, 3, 3], resuming: .step(1))
    let (trainer, result) = try resume(best)
    #expect(trainer == ToyTrainer.trained(3))
    #expect(result.checkpoint?.generation == 6)
  }

  @Test func aDamagedBestIsPassedOverAndOneThatCannotBeReadIsNot() throws {
    let best = ResumeSource.best(of: "loss", .lowest)
    try save([3, 2, 1, 4], resuming: .latest)
    let path = checkpointPath(step: 3, generation: 3)
    let copy = disk.copy()
    try disk.damage(path)
    let (trainer, result) = try resume(best)
    #expect(trainer == ToyTrainer.trained(2))
    #expect(result.skipped.map(\.path) == [path])
    #expect(copy.makeUnreadable(fileAt: path, range: 0..<64))
    var other = ToyTrainer()
    let error = try checkpointError { try copy.manager().resume(&other, from: best) }
    #expect(error.code == .unreadable && other == ToyTrainer())
  }

  @Test func theBestIsRestoredToLookAtAndNotToGoOn() throws {
    let manager = try disk.manager()
    var trainer = ToyTrainer()
    let nothing = try checkpointError {
      _ = try manager.restoreBest(&trainer, of: "loss", .lowest)
    }
    #expect(nothing.code == .notFound)
    for loss in [2.0, 1, 3] {
      trainer.trainStep()
      try manager.saved(trainer, step: trainer.step, metrics: ["loss": loss])
    }
    let result = try manager.restoreBest(&trainer, of: "loss", .lowest)
    #expect(trainer == ToyTrainer.trained(2) && result.checkpoint?.metrics == ["loss": 1])
    let error = try checkpointError { try manager.save(trainer, step: 3) }
    #expect(error.code == .invalidState)
    #expect(disk.checkpoints().count == 3)
    try manager.resume(&trainer, from: .latest)
    #expect(trainer == ToyTrainer.trained(3))
    try manager.saved(trainer, step: 3)
  }

  @Test func aStepThatIsSavedElsewhereIsNotSavedHere() throws {
    try disk.train(3, in: "/other")
    let manager = try disk.manager(saving: .manual)
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .path("/other"))
    #expect(try manager.finish(saving: trainer, step: 3).count == 1)
    #expect(disk.checkpoints().count == 1)
    // Nor is what a partial restore made of a checkpoint that checkpoint.
    try manager.resume(&trainer, from: .latest, strictness: .partial)
    #expect(try manager.finish(saving: trainer, step: 3).count == 1)
    try manager.resume(&trainer, from: .latest)
    #expect(try manager.finish(saving: trainer, step: 3).isEmpty)
  }

  @Test func aFreshRunAfterAFailedResumeSaves() throws {
    try disk.train(2)
    let manager = try disk.manager(saving: .every(steps: 2))
    var failing = ScriptedState(onSave: { try ToyTrainer().save(to: &$0) })
    failing.onRestore = { _ in throw TrainerError() }
    #expect(throws: TrainerError.self) { try manager.resume(&failing, from: .latest) }
    #expect(try checkpointError { try manager.save(ToyTrainer(), step: 9) }.code == .invalidState)
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .never)
    try manager.finish()
    // And nothing of the run before counts for it.
    try manager.resume(&trainer, from: .latest)
    try manager.resume(&trainer, from: .never)
    guard case .saved = try manager.stepCompleted(2, state: trainer) else { throw TrainerError() }
  }

  @Test func aRunThatWentBackGoesOnFromWhereItWent() throws {
    try disk.train(4)
    do {
      let manager = try disk.manager()
      var trainer = ToyTrainer()
      try manager.resume(&trainer, from: .generation(2))
      #expect(trainer == ToyTrainer.trained(2))
      trainer.trainStep()
      try manager.saved(trainer, step: 3)
    }
    let (trainer, result) = try resume(.latest)
    #expect(trainer == ToyTrainer.trained(3))
    #expect(result.checkpoint?.generation == 5)
  }

  @Test func nothingIsRefusedWhereCheckpointsAre() throws {
    #expect(try resume(.nothing).result.checkpoint == nil)
    try disk.train(1)
    let error = try checkpointError { _ = try resume(.nothing) }
    #expect(error.code == .notEmpty)
    #expect(error.message.contains("step-000000001.g000001.ckpt"))
    #expect(error.message.contains(".latest") && error.message.contains(".never"))
  }

  @Test func savingWithoutResumeIsRefusedWhereCheckpointsAre() throws {
    try disk.train(1)
    let manager = try disk.manager()
    let error = try checkpointError { try manager.stepCompleted(1, state: ToyTrainer()) }
    #expect(error.code == .notEmpty)
    #expect(throws: error) { try manager.finish() }
    #expect(disk.checkpoints() == ["step-000000001.g000001.ckpt"])
    // Resuming afterwards is not too late.
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    try manager.saved(trainer, step: 2)
  }

  @Test func neverCountsOnAndLeavesOldFilesUntilItsFirstSave() throws {
    try disk.train(4)
    let old = disk.checkpoints()
    let manager = try disk.manager(keeping: .last(2))
    var trainer = ToyTrainer()
    let result = try manager.resume(&trainer, from: .never)
    #expect(result.checkpoint == nil && trainer == ToyTrainer())
    #expect(disk.checkpoints() == old)
    trainer.trainStep()
    try manager.saved(trainer, step: 1)
    #expect(
      disk.checkpoints() == ["step-000000001.g000005.ckpt", "step-000000004.g000004.ckpt"])
    trainer.trainStep()
    try manager.saved(trainer, step: 2)
    #expect(
      disk.checkpoints() == ["step-000000001.g000005.ckpt", "step-000000002.g000006.ckpt"])
    #expect(try resumedAfterClosing(manager) == 2)
  }

  /// The step that `.latest` resumes from once `manager` is gone.
  private func resumedAfterClosing(_ manager: consuming CheckpointManager) throws -> Int? {
    let copy = disk.copy()
    _ = consume manager
    var trainer = ToyTrainer()
    return try copy.manager().resume(&trainer, from: .latest).checkpoint?.step
  }

  @Test func aStepIsTheNewestOfItsSaves() throws {
    try disk.train(4)
    do {
      let manager = try disk.manager()
      var trainer = ToyTrainer()
      try manager.resume(&trainer, from: .step(2))
      trainer.weights[0] = 100
      try manager.saved(trainer, step: 2)
    }
    let (trainer, result) = try resume(.step(2))
    #expect(trainer.weights[0] == 100)
    #expect(result.checkpoint?.generation == 5)
  }

  @Test(arguments: [ResumeSource.step(9), .generation(9)])
  func whatIsNotThereIsNamedWithWhatIs(source: ResumeSource) throws {
    try disk.train(2)
    let error = try checkpointError { _ = try resume(source) }
    #expect(error.code == .notFound)
    #expect(error.message.contains("9") && error.message.contains("step 2, step 1"))
  }

  @Test func aDamagedStepIsNotReplacedByAnotherStep() throws {
    try disk.train(3)
    try disk.damage(checkpointPath(step: 2, generation: 2))
    let error = try checkpointError { _ = try resume(.step(2)) }
    #expect(error.code == .noIntactCheckpoint)
    #expect(error.message.contains(checkpointPath(step: 2, generation: 2)))
  }

  @Test func aPathToAFileOfTheStore() throws {
    try disk.train(3)
    let path = checkpointPath(step: 2, generation: 2)
    let (trainer, result) = try resume(.path(path))
    #expect(trainer == ToyTrainer.trained(2))
    #expect(result.checkpoint?.path == path)
  }

  @Test func aPathToAnotherStoreContinuesInThisOne() throws {
    try disk.train(3, in: "/other")
    do {
      let manager = try disk.manager()
      var trainer = ToyTrainer()
      let result = try manager.resume(&trainer, from: .path("/other"))
      #expect(trainer == ToyTrainer.trained(3))
      #expect(result.checkpoint?.path == checkpointPath(step: 3, generation: 3, in: "/other"))
      trainer.trainStep()
      try manager.saved(trainer, step: 4)
    }
    #expect(disk.checkpoints() == ["step-000000004.g000001.ckpt"])
    #expect(disk.checkpoints(in: "/other").count == 3)
    #expect(try resume(.latest).trainer == ToyTrainer.trained(4))
  }

  @Test func aPathFallsBackInAnotherStoreButNotFromAFile() throws {
    try disk.train(3, in: "/other")
    let damaged = checkpointPath(step: 3, generation: 3, in: "/other")
    try disk.damage(damaged)
    let (trainer, result) = try resume(.path("/other"))
    #expect(trainer == ToyTrainer.trained(2))
    #expect(result.skipped.map(\.path) == [damaged])
    let error = try checkpointError { _ = try resume(.path(damaged)) }
    #expect(error.code == .corrupted)
  }

  @Test func aPathThatIsMissingOrEmptyIsNotAFreshRun() throws {
    let missing = try checkpointError { _ = try resume(.path("/nowhere/step-1.ckpt")) }
    #expect(missing.code == .notFound)
    #expect(missing.message.contains("/nowhere"))
    // The empty store itself, by its path: a person who names it expects something in it.
    let empty = try checkpointError { _ = try resume(.path("/run")) }
    #expect(empty.code == .notFound)
  }

  @Test func aPathToTheStoreItselfIsDeliberate() throws {
    try disk.train(2)
    #expect(try resume(.path("/run/")).trainer == ToyTrainer.trained(2))
  }

  @Test func aSecondWriterIsBusyAndAReaderIsNot() throws {
    let manager = try disk.manager()
    let error = try checkpointError { _ = try disk.manager() }
    #expect(error.code == .busy)
    #expect(throws: Never.self) {
      try CheckpointStore("/run", for: .reading, options: StoreOptions(device: disk.device))
    }
    try manager.finish()
  }
}
