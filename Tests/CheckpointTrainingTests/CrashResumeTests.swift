import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a run that loses power at any system call, and is resumed, ends with the same bits as one
// that never stopped; a step whose save was acknowledged is never trained again.
// Method: counts the calls of a whole run, then repeats it once per call with the power cut before
// that call, and finishes it on every disk that the cut can have left (a sample where there are
// very many).
@Suite("Crash and resume")
struct CrashResumeTests {
  private static let stepCount = 6
  private static let statesPerCrash = 16

  /// Trains to the end or to the crash; returns the last acknowledged step.
  private func run(_ disk: SimulatedDisk, _ trainer: inout ToyTrainer) throws -> Int {
    var acknowledged = 0
    // A disk without power refuses even to open the store.
    guard let manager = try? disk.manager(saving: .every(steps: 2), keeping: .last(2)) else {
      guard disk.hasCrashed else { throw TrainerError() }
      return 0
    }
    do {
      acknowledged = try manager.resume(&trainer, from: .latest).checkpoint?.step ?? 0
    } catch {
      guard disk.hasCrashed else { throw error }
      return 0
    }
    while trainer.step < Self.stepCount, !disk.hasCrashed {
      trainer.trainStep()
      do {
        if case .saved = try manager.stepCompleted(trainer.step, state: trainer) {
          acknowledged = trainer.step
        }
      } catch {
        guard disk.hasCrashed else { throw error }
      }
    }
    return acknowledged
  }

  @Test func everyCrashOfARunIsForgottenByItsEnd() throws {
    let probe = SimulatedDisk()
    var uninterrupted = ToyTrainer()
    #expect(try run(probe, &uninterrupted) == Self.stepCount)
    let digest = try stateDigest(of: uninterrupted)
    #expect(uninterrupted == ToyTrainer.trained(Self.stepCount))

    var stateCount = 0
    for index in 0..<probe.operationCount {
      let disk = SimulatedDisk()
      disk.crash(beforeOperation: index)
      var trainer = ToyTrainer()
      let acknowledged = try run(disk, &trainer)
      #expect(disk.hasCrashed)
      let survivors = disk.postCrashStates(limit: Self.statesPerCrash, seed: UInt64(index))
      for survivor in survivors {
        stateCount += 1
        try finish(on: survivor, after: acknowledged, digest, "cut before call \(index)")
      }
    }
    #expect(stateCount > 1000)
  }

  private func finish(
    on disk: SimulatedDisk, after acknowledged: Int, _ digest: String, _ place: String
  ) throws {
    var resumed = ToyTrainer()
    do {
      let result = try disk.manager().resume(&resumed, from: .latest)
      #expect(result.checkpoint?.step ?? 0 >= acknowledged, "\(place)")
      #expect(result.skipped.isEmpty, "\(place): a torn file had a checkpoint's name")
      #expect(resumed == ToyTrainer.trained(resumed.step), "\(place)")
    }
    var trainer = ToyTrainer()
    _ = try run(disk, &trainer)
    #expect(try stateDigest(of: trainer) == digest, "\(place)")
    #expect(disk.temporaries().isEmpty, "\(place)")
    // The cut may have come between a save and its retention; the next save makes up for that.
    let manager = try disk.manager(keeping: .last(2))
    try manager.resume(&trainer, from: .latest)
    try manager.saved(trainer, step: Self.stepCount)
    #expect(disk.checkpoints().count == 2, "\(place)")
  }

  @Test func aCrashDuringTheResumedRunIsForgottenToo() throws {
    let digest = try stateDigest(of: ToyTrainer.trained(Self.stepCount))
    let first = SimulatedDisk()
    first.crash(beforeOperation: 60)
    var trainer = ToyTrainer()
    _ = try run(first, &trainer)
    for (number, survivor) in first.postCrashStates(limit: 3, seed: 3).enumerated() {
      let probe = survivor.copy()
      trainer = ToyTrainer()
      _ = try run(probe, &trainer)
      for index in 0..<probe.operationCount {
        let second = survivor.copy()
        second.crash(beforeOperation: index)
        trainer = ToyTrainer()
        let acknowledged = try run(second, &trainer)
        for last in second.postCrashStates(limit: 4, seed: UInt64(index)) {
          try finish(on: last, after: acknowledged, digest, "state \(number), call \(index)")
        }
      }
    }
  }

  // MARK: With all that a manager can do

  /// Trains with health checks, a budget, setting aside and a policy of retention; returns the last step
  /// that was acknowledged.
  private func runWithEverything(
    _ disk: SimulatedDisk, _ trainer: inout ToyTrainer, _ mode: SaveMode
  ) throws -> Int {
    var acknowledged = 0
    func note(_ result: SaveResult?) {
      if case .saved(let receipt, _)? = result { acknowledged = Int(receipt.step) }
    }
    do {
      let manager = try disk.manager(
        saving: .every(steps: 2), mode: mode,
        keeping: (.last(2) + .best(1, of: "loss", .lowest)).withinBudget(ofBytes: 100_000),
        checking: .finite + .noSpike(of: "loss", above: 50))
      let result = try manager.resume(&trainer, from: .latest, damaged: .setAside)
      acknowledged = result.checkpoint?.step ?? 0
      while trainer.step < Self.stepCount, !disk.hasCrashed {
        let loss = trainer.trainStep()
        switch try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": loss]) {
        case .saved(let receipt, _): acknowledged = Int(receipt.step)
        case .started(let start): note(start.earlier)
        default: break
        }
      }
      for result in try manager.finish(saving: trainer, step: trainer.step) { note(result) }
      if trainer.step == Self.stepCount {
        // In the middle of a step that is never completed.
        var spoilt = trainer
        spoilt.weights[0] = .infinity
        try manager.stepCompleted(trainer.step + 1, state: trainer)
        _ = manager.saveEmergency(spoilt, step: trainer.step + 1, because: TrainerError())
      }
    } catch let error as CheckpointError {
      guard disk.hasCrashed else { throw error }
    }
    return acknowledged
  }

  /// A disk with a run whose newest checkpoint is damaged.
  private func damagedDisk() throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    try disk.train(3)
    try disk.damage(checkpointPath(step: 3, generation: 3))
    return disk
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func everyCrashOfARunWithEverythingOnIsForgottenByItsEnd(mode: SaveMode) throws {
    let probe = try damagedDisk()
    let start = probe.operationCount
    var uninterrupted = ToyTrainer()
    _ = try runWithEverything(probe, &uninterrupted, mode)
    #expect(uninterrupted == ToyTrainer.trained(Self.stepCount))
    for index in start..<probe.operationCount {
      let disk = try damagedDisk()
      disk.crash(beforeOperation: index)
      var trainer = ToyTrainer()
      let acknowledged = max(2, try runWithEverything(disk, &trainer, mode))
      for survivor in disk.postCrashStates(limit: 8, seed: UInt64(index)) {
        var resumed = ToyTrainer()
        let result = try survivor.copy().manager().resume(&resumed, from: .latest)
        let step = try #require(result.checkpoint?.step)
        // The last save may be one of the step that is never completed.
        #expect(step >= min(acknowledged, Self.stepCount), "cut before call \(index)")
        #expect(
          resumed == ToyTrainer.trained(min(step, Self.stepCount)), "cut before call \(index)")
        // The damaged one is under either name, byte for byte.
        let names = survivor.names(inDirectoryAt: SimulatedDisk.store) ?? []
        #expect(names.contains { $0.hasPrefix("step-000000003.g000003.ckpt") })
        var next = ToyTrainer()
        _ = try runWithEverything(survivor, &next, mode)
        #expect(next == ToyTrainer.trained(Self.stepCount), "cut before call \(index)")
        #expect(survivor.temporaries().isEmpty)
      }
    }
  }
}
