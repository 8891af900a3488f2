import CheckpointStorage
import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a save is due exactly when the policy says so, and what it depends on survives a resume.
// Method: runs on a simulated disk, whose clock moves only when a test moves it.
@Suite("When a save is due")
struct SavePolicyTests {
  private let disk = SimulatedDisk()

  private func wait(_ seconds: Double) { disk.device.timeSource.sleep(UInt64(seconds * 1e9)) }

  /// What a step of a run reports.
  private struct Step {
    var epoch: Int?
    var metrics: [String: Double] = [:]
  }

  /// The steps that were saved of steps that report these things.
  private func savedSteps(
    _ saving: SavePolicy, resuming: Bool = false, _ steps: [Step], from first: Int = 1,
    before: (Int) -> Void = { _ in }
  ) throws -> [Int] {
    let manager = try disk.manager(saving: saving)
    var trainer = ToyTrainer()
    if resuming { try manager.resume(&trainer, from: .latest) }
    var saved: [Int] = []
    for (offset, step) in steps.enumerated() {
      before(first + offset)
      let outcome = try manager.stepCompleted(
        first + offset, epoch: step.epoch, state: trainer, metrics: step.metrics)
      if case .saved = outcome { saved.append(first + offset) }
    }
    return saved
  }

  @Test func intervalsOfStepsGoOnWhereTheRunWentOn() throws {
    let steps = [Step](repeating: Step(), count: 7)
    #expect(try savedSteps(.every(steps: 3), steps) == [3, 6])
    #expect(try savedSteps(.every(steps: 4), resuming: true, steps, from: 7) == [8, 12])
  }

  @Test func stepsThatAreReportedInStridesAreNotMissed() throws {
    let manager = try disk.manager(saving: .every(steps: 10))
    var saved: [Int] = []
    for step in [7, 14, 21, 28, 35, 42] {
      if case .saved = try manager.stepCompleted(step, state: ToyTrainer()) { saved.append(step) }
    }
    #expect(saved == [14, 21, 35, 42])
  }

  @Test func epochsAreCountedAcrossAResume() throws {
    let epochs = [0, 0, 1, 1, 2, 2]
    let steps = epochs.map { Step(epoch: $0) }
    #expect(try savedSteps(.every(epochs: 1), steps) == [3, 5])
    // Resumed in epoch 2: the end of epoch 3 is next, and one that nobody tells of is not due.
    let later = [Step(epoch: 2), Step(epoch: 3), Step(), Step(epoch: 3)]
    #expect(try savedSteps(.every(epochs: 1), resuming: true, later, from: 6) == [7])
    #expect(try savedSteps(.every(epochs: 2), resuming: true, later, from: 8).isEmpty)
  }

  @Test func timeCountsFromTheEndOfTheLastSave() throws {
    let saved = try savedSteps(
      .every(.seconds(10)), [Step](repeating: Step(), count: 9), before: { _ in wait(4) })
    #expect(saved == [3, 6, 9])
  }

  @Test func anImprovementIsOneAgainstEveryCheckpointOfTheLineage() throws {
    func steps(_ losses: [Double?]) -> [Step] {
      losses.map { Step(metrics: $0.map { ["eval_loss": $0] } ?? [:]) }
    }
    let policy = SavePolicy.onImprovement(of: "eval_loss", .lowest, by: 0.5)
    let losses: [Double?] = [nil, 5, 5, 4.8, 4.5, .nan, 6, 4]
    #expect(try savedSteps(policy, steps(losses)) == [2, 5, 8])
    #expect(try savedSteps(policy, resuming: true, steps([3.6, 3.5]), from: 9) == [10])
    let highest = SavePolicy.onImprovement(of: "eval_loss", .highest)
    let better = steps([5, 6.5, .infinity])
    #expect(try savedSteps(highest, resuming: true, better, from: 11) == [12, 13])
  }

  @Test func anImprovementWhoseSaveFailedIsStillOne() throws {
    let manager = try disk.manager(saving: .onImprovement(of: "loss", .lowest))
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC))])
    guard case .failed = try manager.stepCompleted(1, state: ToyTrainer(), metrics: ["loss": 1])
    else { throw TrainerError() }
    guard case .saved = try manager.stepCompleted(2, state: ToyTrainer(), metrics: ["loss": 1.5])
    else { throw TrainerError() }
  }

  @Test func policiesCombine() throws {
    let steps = (1...8).map { Step(metrics: ["loss": $0 == 4 || $0 == 7 ? -Double($0) : 0]) }
    let improvement = SavePolicy.onImprovement(of: "loss", .lowest)
    #expect(try savedSteps(.every(steps: 4) || improvement, steps) == [1, 4, 7, 8])
    let other = SimulatedDisk()
    let manager = try other.manager(saving: .every(steps: 4) && improvement)
    var saved: [Int] = []
    for (index, step) in steps.enumerated() {
      let outcome = try manager.stepCompleted(
        index + 1, state: ToyTrainer(), metrics: step.metrics)
      if case .saved = outcome { saved.append(index + 1) }
    }
    #expect(saved == [4])
  }

  /// Storage that takes its time for each byte.
  private final class SlowBackend: ForwardingBackend {
    let base: any StorageBackend
    private let time: TimeSource
    private let nanosecondsPerByte: UInt64

    init(_ device: StorageDevice, nanosecondsPerByte: UInt64) {
      base = device.backend
      time = device.timeSource
      self.nanosecondsPerByte = nanosecondsPerByte
    }

    func write(
      _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
    ) throws(StorageError) -> Int {
      time.sleep(UInt64(bytes.byteCount) * nanosecondsPerByte)
      return try base.write(descriptor, bytes, at: offset)
    }
  }

  @Test(arguments: [20, 400, 3_000] as [UInt64])
  func theOverheadStaysWithinItsBudget(microsecondsPerByte: UInt64) throws {
    let real = disk.device
    let slow = SlowBackend(real, nanosecondsPerByte: microsecondsPerByte * 1_000)
    let device = StorageDevice(
      backend: slow, timeSource: real.timeSource, randomBits: real.randomBits)
    let manager = try CheckpointManager(
      directory: "/run", saving: .overhead(atMost: 0.03, noOftenerThan: .milliseconds(100)),
      keeping: .last(2),
      options: .plain(on: device))
    #expect(manager.saveInterval == .milliseconds(100))
    let time = real.timeSource
    // From the first measurement on: nobody can know before what a save costs.
    var start = time.monotonic()
    var spent: UInt64 = 0
    var savedCount = 0
    var step = 0
    while savedCount <= 20 {
      step += 1
      wait(0.05)
      let before = time.monotonic()
      if case .saved = try manager.stepCompleted(step, state: ToyTrainer()) { savedCount += 1 }
      if savedCount == 1, spent == 0 {
        start = time.monotonic()
        spent = 1
      } else if savedCount >= 1 {
        spent += time.monotonic() - before
      }
    }
    let share = Double(spent) / Double(time.monotonic() - start)
    #expect(share > 0.02 && share < 0.04, "\(share) of the time went into saves")
    #expect(try #require(manager.saveInterval) > .milliseconds(100))
  }

  @Test func theOverheadKeepsToItsBounds() throws {
    let policy = SavePolicy.overhead(
      atMost: 0.5, noOftenerThan: .seconds(10), atLeastEvery: .seconds(20))
    let saved = try savedSteps(
      policy, [Step](repeating: Step(), count: 12), before: { _ in wait(4) })
    #expect(saved == [3, 6, 9, 12])
    let costly = SavePolicy.overhead(
      atMost: 1e-9, noOftenerThan: .seconds(1), atLeastEvery: .seconds(20))
    let seldom = try savedSteps(
      costly, resuming: true, [Step](repeating: Step(), count: 12), from: 13,
      before: { _ in wait(4) })
    #expect(seldom == [13, 18, 23])
  }

  @Test func theHistoryOfMetricsIsThatOfTheLineage() throws {
    func save(_ values: [(Int, Double)], at source: ResumeSource) throws -> ResumeResult {
      let manager = try disk.manager(saving: .manual)
      var trainer = ToyTrainer()
      let result = try manager.resume(&trainer, from: source)
      for (step, value) in values {
        trainer.step = step
        try manager.saved(trainer, step: step, metrics: ["loss": value])
      }
      return result
    }
    _ = try save([(1, 3), (2, 1), (3, 2)], at: .latest)
    // Taken back to step 1: what was measured at steps 2 and 3 is not of this run any more.
    _ = try save([(2, .nan), (4, 2.5)], at: .step(1))
    let checkpoint = try #require(try save([], at: .latest).checkpoint)
    let history = try #require(checkpoint.metricHistory["loss"])
    #expect(history.map(\.step) == [1, 2, 4])
    #expect(history[0].value == 3 && history[1].value.isNaN && history[2].value == 2.5)
    let manager = try disk.manager(saving: .onImprovement(of: "loss", .lowest))
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    guard case .notDue = try manager.stepCompleted(5, state: trainer, metrics: ["loss": 2.5]),
      case .saved = try manager.stepCompleted(6, state: trainer, metrics: ["loss": 2.4])
    else { throw TrainerError() }
  }
}
