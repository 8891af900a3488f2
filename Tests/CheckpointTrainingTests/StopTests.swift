import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a run that is asked to stop saves after the step under way, once, and says so; and the
// process is as it was when nobody watches any more.
// Method: real signals to this process. Signals have one place in a process, hence one at a time.
@Suite("A run is asked to stop", .serialized)
struct StopTests {
  private let disk = SimulatedDisk()

  private func send(_ signal: Int32) throws {
    // To this thread, so that it has arrived when the call returns.
    try #require(pthread_kill(pthread_self(), signal) == 0)
  }

  private func stopReport(_ outcome: StepOutcome) throws -> StopReport {
    guard case .stopRequested(let report) = outcome else { throw TrainerError() }
    return report
  }

  /// Whether the action of a signal is the default.
  private func isDefault(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard unsafe sigaction(signal, nil, &action) == 0 else { return false }
    #if canImport(Glibc)
      return unsafe action.__sigaction_handler.sa_handler == nil
    #else
      return unsafe action.__sigaction_u.__sa_handler == nil
    #endif
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGUSR1])
  func aSignalIsAnsweredByOneSaveAfterTheStep(signal: Int32) throws {
    let manager = try disk.manager(saving: .every(steps: 100), stopping: .onPreemption)
    var trainer = ToyTrainer.trained(3)
    guard case .notDue = try manager.stepCompleted(3, state: trainer) else { throw TrainerError() }
    #expect(manager.stopReason == nil)
    try send(signal)
    #expect(manager.stopReason == .signal(signal))
    trainer.trainStep()
    let report = try stopReport(try manager.stepCompleted(4, state: trainer))
    #expect(report.reason == .signal(signal) && report.isSaved)
    guard case .saved(let receipt, _)? = report.save else { throw TrainerError() }
    #expect(receipt.step == 4)
    // Asked again, it says the same and saves nothing twice.
    let again = try stopReport(try manager.stepCompleted(4, state: trainer))
    #expect(again.save == nil && again.isSaved)
    #expect(disk.checkpoints().count == 1)
    try manager.finish()
    #expect(isDefault(signal))
    var restored = ToyTrainer()
    try disk.copy().manager().resume(&restored, from: .latest)
    #expect(restored == trainer)
  }

  @Test func aSignalWhileIdleNeedsNoSave() throws {
    try disk.train(2)
    let manager = try disk.manager(stopping: .onPreemption)
    try send(SIGTERM)
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    #expect(manager.stopReason == .signal(SIGTERM))
    let report = try stopReport(try manager.stepCompleted(2, state: trainer))
    #expect(report.save == nil && report.isSaved)
    #expect(disk.checkpoints().count == 2)
  }

  @Test func aSaveThatFailsThenIsReported() throws {
    let manager = try disk.manager(saving: .manual, stopping: .onPreemption)
    try send(SIGTERM)
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    let report = try stopReport(try manager.stepCompleted(1, state: ToyTrainer()))
    #expect(!report.isSaved)
    // The next try is made with the next step.
    disk.faultPlan = FaultPlan()
    let next = try stopReport(try manager.stepCompleted(1, state: ToyTrainer()))
    #expect(next.save != nil && next.isSaved)
  }

  @Test func otherSignalsAndReleasedManagersAreLeftAlone() throws {
    do {
      let manager = try disk.manager(stopping: StopPolicy(on: [.user1]))
      #expect(isDefault(SIGTERM) && !isDefault(SIGUSR1))
      let error = try checkpointError {
        _ = try disk.manager("/other", stopping: .onPreemption)
      }
      #expect(error.code == .busy)
      // Without signals there may be any number.
      try disk.manager("/third").finish()
      _ = manager
    }
    #expect(isDefault(SIGUSR1))
    // What an earlier manager saw is not the next one's.
    do {
      let manager = try disk.manager(stopping: .onPreemption)
      try send(SIGTERM)
      #expect(manager.stopReason != nil)
    }
    let manager = try disk.manager(stopping: .onPreemption)
    #expect(manager.stopReason == nil)
  }

  @Test func aManagerThatCannotBeMadeLetsGoOfTheSignals() throws {
    try withExtendedLifetime(disk.manager()) {
      let error = try checkpointError { _ = try disk.manager(stopping: .onPreemption) }
      #expect(error.code == .busy)
    }
    #expect(isDefault(SIGTERM) && isDefault(SIGINT) && isDefault(SIGUSR1))
  }

  @Test func aSignalThatComesTwiceAtOnceIsOne() throws {
    let manager = try disk.manager(stopping: .onPreemption)
    for _ in 0..<3 { try send(SIGTERM) }
    #expect(try stopReport(try manager.stepCompleted(1, state: ToyTrainer())).isSaved)
  }

  @Test func aTimeLimitThatIsOverBeforeItBeginsStopsAtOnce() throws {
    let manager = try disk.manager(stopping: StopPolicy(after: .seconds(-1)))
    #expect(manager.stopReason == .timeLimit)
  }

  @Test func theTimeLimitLeavesRoomForTheSave() throws {
    let manager = try disk.manager(
      saving: .manual, stopping: StopPolicy(after: .seconds(100)))
    let time = disk.device.timeSource
    func step(_ number: Int, after seconds: UInt64) throws -> StepOutcome {
      time.sleep(seconds * 1_000_000_000)
      return try manager.stepCompleted(number, state: ToyTrainer())
    }
    guard case .notDue = try step(1, after: 50) else { throw TrainerError() }
    // A save of five seconds: the run must end ten seconds before the limit.
    let slow = ScriptedState(onSave: { state in
      try state.value("step", 1)
      time.sleep(2_500_000_000)
    })
    guard case .saved = try manager.save(slow, step: 1) else { throw TrainerError() }
    guard case .notDue = try step(2, after: 30) else { throw TrainerError() }
    let report = try stopReport(try step(3, after: 6))
    #expect(report.reason == .timeLimit && report.isSaved)
    #expect(try #require(report.expectedSaveDuration) >= .seconds(5))
    #expect(try #require(report.timeLeft) < .seconds(10))
    #expect(report.wasExpectedInTime == true)
  }

  @Test func theGracePeriodTellsWhetherASaveFits() throws {
    let device = StorageDevice.posix
    try withTemporaryDirectory { path in
      for (grace, fits) in [(Duration.seconds(3600), true), (.zero, false), (.seconds(-5), false)] {
        let manager = try CheckpointManager(
          directory: path + "/run", saving: .manual,
          stopping: StopPolicy(on: [.terminate], gracePeriod: grace),
          options: StoreOptions(device: device, threads: 1))
        var trainer = ToyTrainer()
        try manager.resume(&trainer, from: .latest)
        try manager.saved(trainer, step: 1)
        try send(SIGTERM)
        let report = try stopReport(try manager.stepCompleted(2, state: trainer))
        #expect(report.wasExpectedInTime == fits)
        // It was tried all the same.
        #expect(report.isSaved && report.save != nil)
      }
    }
  }
}
