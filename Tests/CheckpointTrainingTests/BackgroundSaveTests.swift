import CheckpointStorage
import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a save in the background saves the state as it was at the call, tells what came of it exactly
// once, and is as safe as one that training waits for.
// Method: a simulated disk that stops the saving thread before any of its calls until it is let go.
@Suite("Saves in the background")
struct BackgroundSaveTests {
  private let disk = SimulatedDisk()
  private let gate: Gate

  init() { gate = Gate(disk.device.backend) }

  private func manager(
    saving: SavePolicy = .every(steps: 1), whenBusy rule: SaveMode.BusyRule = .wait,
    keeping: RetentionPolicy = .all, stopping: StopPolicy = .never,
    onSaveFailure: SaveFailurePolicy = .report, resuming: Bool = false
  ) throws -> CheckpointManager {
    let real = disk.device
    let device = StorageDevice(
      backend: gate, timeSource: real.timeSource, randomBits: real.randomBits)
    let manager = try CheckpointManager(
      directory: "/run", saving: saving, mode: .background(whenBusy: rule), keeping: keeping,
      stopping: stopping, onSaveFailure: onSaveFailure,
      options: .plain(on: device))
    if resuming {
      var trainer = ToyTrainer()
      try manager.resume(&trainer, from: .latest)
    }
    return manager
  }

  private func start(_ outcome: StepOutcome) throws -> SaveStart {
    guard case .started(let start) = outcome else { throw TrainerError() }
    return start
  }

  private func restored(_ disk: SimulatedDisk? = nil) throws -> ToyTrainer {
    var trainer = ToyTrainer()
    try (disk ?? self.disk).copy().manager().resume(&trainer, from: .latest)
    return trainer
  }

  @Test func whatIsOnDiskIsTheStateAtTheCallWhateverTrainingDoesMeanwhile() throws {
    let manager = try manager(keeping: .last(2))
    var trainer = ToyTrainer()
    var index = 0
    // Until no call is left to stop at.
    while true {
      trainer.trainStep()
      let atTheCall = trainer
      gate.close(after: index)
      _ = try start(try manager.stepCompleted(trainer.step, state: trainer))
      // Every tensor is overwritten in place, at the moment that the save has come to this call.
      for place in trainer.weights.indices {
        trainer.weights[place] = .nan
        trainer.momentum[place] = -1
      }
      trainer.position = -7
      let isLast = index > 0 && gate.callCount < index
      if !isLast { gate.waitUntilReached() }
      gate.open()
      try manager.finish()
      #expect(try restored() == atTheCall, "call \(index)")
      trainer = atTheCall
      if gate.callCount <= index + 1 { break }
      index += 1
    }
    #expect(index >= 6)
  }

  @Test func aFailureIsToldOnceAndTheRunGoesOn() throws {
    let manager = try manager(saving: .every(steps: 2), keeping: .last(1))
    var trainer = ToyTrainer.trained(2)
    _ = try start(try manager.stepCompleted(2, state: trainer))
    guard case .saved(let receipt, _) = try settled(manager, 3, trainer) else {
      throw TrainerError()
    }
    #expect(receipt.step == 2)
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    trainer.trainStep()
    _ = try start(try manager.stepCompleted(4, state: trainer))
    guard case .failed(let error) = try settled(manager, 5, trainer) else { throw TrainerError() }
    #expect(error.code == .outOfSpace)
    guard case .notDue = try manager.stepCompleted(5, state: trainer) else { throw TrainerError() }
    // The run ends here: what is due is not on disk.
    #expect(throws: error) { try manager.finish() }
    disk.faultPlan = FaultPlan()
    #expect(disk.temporaries().isEmpty && disk.checkpoints().count == 1)
    let next = try start(try manager.stepCompleted(6, state: trainer))
    #expect(next.earlier == nil)
    try manager.finish()
    #expect(try restored() == trainer)
  }

  /// What the step that is reported after the save under way has ended tells.
  private func settled(
    _ manager: CheckpointManager, _ step: Int, _ trainer: ToyTrainer
  ) throws -> StepOutcome {
    while true {
      let outcome = try manager.stepCompleted(step, state: trainer)
      guard case .notDue = outcome else { return outcome }
      usleep(200)
    }
  }

  @Test func aFailureStopsTheRunAtTheNextStepWhereThatWasAskedFor() throws {
    let manager = try manager(saving: .every(steps: 2), onSaveFailure: .stop)
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    _ = try start(try manager.stepCompleted(2, state: ToyTrainer()))
    let error = try checkpointError { _ = try settled(manager, 3, ToyTrainer()) }
    #expect(error.code == .outOfSpace)
    guard case .notDue = try manager.stepCompleted(3, state: ToyTrainer()) else {
      throw TrainerError()
    }
  }

  @Test func theProgramsOwnErrorComesFromTheCall() throws {
    let manager = try manager()
    let failing = ScriptedState(onSave: { _ in throw TrainerError(number: 3) })
    #expect(throws: TrainerError(number: 3)) { try manager.stepCompleted(1, state: failing) }
    let error = try checkpointError { try manager.finish() }
    #expect(error.code == .invalidState)
    _ = try start(try manager.stepCompleted(2, state: ToyTrainer()))
    try manager.finish()
  }

  // MARK: A save that is due while another is under way

  @Test func trainingWaitsWhereThatWasAskedFor() throws {
    let manager = try manager(whenBusy: .wait)
    gate.close()
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    gate.waitUntilReached()
    gate.openSoon()
    let second = try start(try manager.stepCompleted(2, state: ToyTrainer.trained(2)))
    guard case .saved(let receipt, _)? = second.earlier else { throw TrainerError() }
    #expect(receipt.step == 1)
    try manager.finish()
    #expect(disk.checkpoints().count == 2)
  }

  @Test func aSaveIsLeftOutWhereThatWasAskedFor() throws {
    let manager = try manager(whenBusy: .skip)
    gate.close()
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    guard case .skipped = try manager.stepCompleted(2, state: ToyTrainer.trained(2)) else {
      throw TrainerError()
    }
    gate.open()
    try manager.finish()
    #expect(disk.checkpoints() == ["step-000000001.g000001.ckpt"])
  }

  @Test func aSaveIsPostponedWhereThatWasAskedFor() throws {
    let manager = try manager(saving: .every(steps: 2), whenBusy: .postpone)
    gate.close()
    _ = try start(try manager.stepCompleted(2, state: ToyTrainer.trained(2)))
    guard case .notDue = try manager.stepCompleted(3, state: ToyTrainer.trained(3)),
      case .postponed = try manager.stepCompleted(4, state: ToyTrainer.trained(4)),
      case .postponed = try manager.stepCompleted(5, state: ToyTrainer.trained(5))
    else { throw TrainerError() }
    gate.open()
    // Step 7 was not due, but something was before.
    while case .postponed = try manager.stepCompleted(7, state: ToyTrainer.trained(7)) {
      usleep(200)
    }
    try manager.finish()
    #expect(try restored() == ToyTrainer.trained(7))
    #expect(disk.checkpoints().count == 2)
  }

  /// Between the look at the save under way and the next one at it, the manager asks for the time.
  @Test(arguments: [SaveMode.BusyRule.wait, .skip, .postpone])
  func aSaveThatEndsWhileAStepIsReportedIsNoTrap(rule: SaveMode.BusyRule) throws {
    let (disk, gate) = (disk, gate)
    let isArmed = Protected(false)
    let real = disk.device
    let time = TimeSource(
      now: real.timeSource.now,
      monotonic: {
        let mustWait = isArmed.withLock { flag in
          defer { flag = false }
          return flag
        }
        if mustWait {
          gate.open()
          while disk.checkpoints().count < 1 { usleep(200) }
          usleep(50_000)
        }
        return real.timeSource.monotonic()
      }, sleep: real.timeSource.sleep)
    let manager = try CheckpointManager(
      directory: "/run", saving: .every(steps: 1), mode: .background(whenBusy: rule),
      options: StoreOptions(
        device: StorageDevice(backend: gate, timeSource: time, randomBits: real.randomBits),
        compression: .none, threads: 1))
    gate.close(after: 1)
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    gate.waitUntilReached()
    isArmed.withLock { $0 = true }
    let second = try start(try manager.stepCompleted(2, state: ToyTrainer.trained(2)))
    guard case .saved(let receipt, _)? = second.earlier else { throw TrainerError() }
    #expect(receipt.step == 1)
    try manager.finish()
    #expect(try restored() == ToyTrainer.trained(2))
  }

  /// A save may end between any two looks at it.
  @Test(arguments: [SaveMode.BusyRule.wait, .skip, .postpone])
  func savesInQuickSuccessionAllEndAndAreTold(rule: SaveMode.BusyRule) throws {
    let manager = try manager(whenBusy: rule, keeping: .last(1))
    var trainer = ToyTrainer()
    var startedCount = 0
    var toldCount = 0
    for step in 1...1_500 {
      trainer.step = step
      switch try manager.stepCompleted(step, state: trainer) {
      case .started(let start):
        startedCount += 1
        toldCount += start.earlier == nil ? 0 : 1
      case .saved: toldCount += 1
      case .postponed, .skipped, .notDue: #expect(rule != .wait)
      case .failed(let error): throw error
      case .stopRequested: Issue.record("nothing asked the run to stop")
      }
      // Of different lengths, so that the step falls into every moment of the save.
      for _ in 0..<step % 97 { trainer.trainStep() }
    }
    let last = try manager.finish(saving: trainer, step: 2_000)
    #expect(toldCount + last.count == startedCount + 1)
    #expect(disk.checkpoints() == ["step-000002000.g\(sixDigits(startedCount + 1)).ckpt"])
  }

  private func sixDigits(_ number: Int) -> String {
    String(repeating: "0", count: 6 - "\(number)".count) + "\(number)"
  }

  @Test func whatIsPostponedAtTheEndIsTold() throws {
    let manager = try manager(whenBusy: .postpone)
    gate.close()
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    guard case .postponed = try manager.stepCompleted(2, state: ToyTrainer.trained(2)) else {
      throw TrainerError()
    }
    gate.open()
    #expect(try checkpointError { try manager.finish() }.code == .invalidState)
    #expect(try manager.finish(saving: ToyTrainer.trained(2), step: 2).count == 2)
    try manager.finish()
    #expect(try restored() == ToyTrainer.trained(2))
  }

  // MARK: The end

  @Test func anEarlierSaveIsToldAlthoughTheLastFails() throws {
    let manager = try manager()
    gate.close(after: 1)
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    gate.waitUntilReached()
    gate.open()
    while disk.checkpoints().isEmpty { usleep(200) }
    usleep(50_000)
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    let results = try manager.finish(saving: ToyTrainer.trained(2), step: 2)
    guard results.count == 2, case .saved(let receipt, _) = results[0], case .failed = results[1]
    else { throw TrainerError() }
    #expect(receipt.step == 1)
    #expect(try checkpointError { try manager.finish() }.code == .outOfSpace)
  }

  @Test func anEarlierFailureKeepsNobodyFromTheLastSave() throws {
    let manager = try manager(onSaveFailure: .stop)
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC))])
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    let error = try checkpointError {
      try manager.finish(saving: ToyTrainer.trained(2), step: 2)
    }
    #expect(error.code == .outOfSpace)
    #expect(try restored() == ToyTrainer.trained(2))
  }

  @Test func finishingWaitsUntilTheSaveIsDurable() throws {
    let manager = try manager()
    gate.close(after: 2)
    _ = try start(try manager.stepCompleted(1, state: ToyTrainer.trained(1)))
    gate.waitUntilReached()
    gate.openSoon()
    let results = try manager.finish(saving: ToyTrainer.trained(1), step: 1)
    #expect(results.count == 1, "it is saved already, and that is told")
    disk.crash()
    for survivor in disk.postCrashStates() {
      #expect(try restored(survivor) == ToyTrainer.trained(1))
    }
  }

  @Test func aRunThatEndsWithoutFinishingLosesAtMostTheSaveUnderWay() throws {
    try disk.train(1)
    let callCount = try { () -> Int in
      let first = disk.operationCount
      let manager = try manager(resuming: true)
      _ = try start(try manager.stepCompleted(2, state: ToyTrainer.trained(2)))
      try manager.finish()
      return disk.operationCount - first
    }()
    for index in 0..<callCount {
      let disk = SimulatedDisk()
      try disk.train(1)
      let start = disk.operationCount
      do {
        let manager = try CheckpointManager(
          directory: "/run", saving: .every(steps: 1), mode: .background(),
          options: .plain(on: disk.device))
        var trainer = ToyTrainer()
        disk.crash(beforeOperation: start + index)
        try manager.resume(&trainer, from: .latest)
        try manager.stepCompleted(2, state: ToyTrainer.trained(2))
      } catch is CheckpointError {
        // The power went before the save began.
      }
      for survivor in disk.postCrashStates(limit: 16) {
        let step = try restored(survivor).step
        #expect([1, 2].contains(step), "call \(index)")
        #expect(try restored(survivor) == ToyTrainer.trained(step))
      }
    }
  }

  @Test func everythingThatUsesTheStoreWaitsForTheSave() throws {
    let manager = try manager()
    let uses: [(CheckpointManager) throws -> Void] = [
      { _ = try $0.retentionPlan() }, { try $0.save(ToyTrainer.trained(9), step: 9) },
      { manager in
        var trainer = ToyTrainer()
        try manager.resume(&trainer, from: .latest)
      },
      { manager in
        var trainer = ToyTrainer()
        _ = try manager.restoreBest(&trainer, of: "loss", .lowest)
      },
    ]
    for (number, use) in uses.enumerated() {
      gate.close(after: 1)
      let state = ToyTrainer.trained(number + 1)
      _ = try start(
        try manager.stepCompleted(number + 1, state: state, metrics: ["loss": 1]))
      gate.waitUntilReached()
      gate.openSoon()
      try use(manager)
      #expect(gate.isOpen, "use \(number) did not wait")
    }
  }

  @Test func aStateLargerThanMemoryFailsAndDoesNotTrap() throws {
    let manager = try manager()
    let huge = ScriptedState(onSave: { state in
      try unsafe state.tensor("huge", dtype: .uint8, shape: [1 << 55]) { _, _ in
        throw TrainerError()
      }
    })
    #expect(throws: (any Error).self) {
      if case .failed(let error) = try manager.stepCompleted(1, state: huge) { throw error }
    }
    #expect(disk.checkpoints().isEmpty && disk.temporaries().isEmpty)
  }

  @Test func whatIsFilledOnDemandIsZeroWhereItIsLeftOut() throws {
    let manager = try manager()
    _ = try start(
      try manager.stepCompleted(
        1, state: ScriptedState(onSave: { try $0.tensor("a", [UInt8](repeating: 7, count: 64)) })))
    let sparse = ScriptedState(onSave: { state in
      // SAFETY: the third byte of 64.
      try unsafe state.tensor("a", dtype: .uint8, shape: [64]) { offset, target in
        #expect(offset == 0)
        unsafe target[3] = 1
      }
      try state.tensor("none", [Float]())
    })
    _ = try start(try manager.stepCompleted(2, state: sparse))
    try manager.finish()
    let reader = try CheckpointReader.open(
      path: checkpointPath(step: 2, generation: 2), on: disk.device)
    #expect(try reader.read("a") == (0..<64).map { $0 == 3 ? 1 : 0 })
  }
}
