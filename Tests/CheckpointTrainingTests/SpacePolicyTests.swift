import CheckpointStorage
import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a run is told before it begins whether its checkpoints will fit, and on a full disk waits, goes on
// or stops, as it asked.
@Suite("Room on the disk")
struct SpacePolicyTests {
  private let disk = SimulatedDisk()

  /// Bytes of the file of a toy trainer without compression.
  private var size: UInt64 { 8192 }

  private func estimate(_ keeping: RetentionPolicy) throws -> SpaceEstimate {
    try disk.copy().manager(keeping: keeping).estimateSpace(for: ToyTrainer())
  }

  @Test func whatRetentionKeepsAndOneMoreIsNeeded() throws {
    try disk.manager().saved(ToyTrainer(), step: 1)
    #expect(disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1))?.count == Int(size))
    let cases: [(RetentionPolicy, Int?, UInt64)] = [
      (.last(3), 3, 3), (.last(2) + .best(3, of: "loss", .lowest), 5, 5), (.last(1), 1, 1),
      (.all, nil, 1), (.last(2) + .every(steps: 5), nil, 2), (.within(.seconds(9)), nil, 1),
      (.last(9).withinBudget(ofBytes: 4 * size), 9, 4), (.last(9).withinBudget(ofBytes: 1), 9, 1),
      (.all.withinBudget(ofBytes: 50 * size), nil, 50),
    ]
    for (keeping, count, files) in cases {
      let estimate = try estimate(keeping)
      let one = estimate.checkpointByteCount
      #expect(one >= size && one < 3 * size)
      #expect(estimate.keptCount == count)
      let kept = min(files * one, max(keeping.byteBudget ?? .max, one))
      // One is there already.
      #expect(estimate.neededByteCount == max(kept + one - size, one), "\(keeping)")
    }
  }

  @Test func tooLittleRoomIsToldOrRefusedBeforeAnythingHappens() throws {
    let free = try disk.manager().estimateSpace(for: ToyTrainer()).availableByteCount
    let need = try estimate(.last(3)).neededByteCount
    #expect(free > need)
    let tight = SimulatedDisk()
    tight.capacity = need - 1
    var trainer = ToyTrainer()
    do {
      let manager = try tight.manager(keeping: .last(3))
      let warnings = Protected<[String]>([])
      manager.onEvent { event in
        if case .warning(let text) = event { warnings.withLock { $0.append(text) } }
      }
      let result = try manager.resume(&trainer, from: .latest)
      #expect(result.space?.fits == false)
      #expect(warnings.withLock { $0 }.count == 1)
      #expect(warnings.withLock { $0 }.first?.contains("may need \(need) bytes more") == true)
    }
    let refusing = try tight.manager(keeping: .last(3), space: SpacePolicy(preflight: .refuse))
    let error = try checkpointError { try refusing.resume(&trainer, from: .latest) }
    #expect(error.code == .outOfSpace && error.message.contains("3 of them kept"))
    tight.capacity = 10
    let off = try tight.manager("/other", space: SpacePolicy(preflight: .off))
    #expect(try off.resume(&trainer, from: .latest).space == nil)
  }

  /// Makes room after so many waits, and notes what is told.
  private func eventsOfASave(
    mode: SaveMode, whenFull: SpacePolicy.WhenFull, roomAfter count: Int,
    stopping: StopPolicy = .never
  ) throws -> (result: SaveResult?, waits: [Duration]) {
    let manager = try disk.manager(
      mode: mode, stopping: stopping, space: SpacePolicy(whenFull: whenFull))
    let waits = Protected<[Duration]>([])
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    manager.onEvent { [disk] event in
      guard case .waitsForSpace(1, let error, let waited) = event, error.code == .outOfSpace else {
        return
      }
      let number = waits.withLock { waits in
        waits.append(waited)
        return waits.count
      }
      if number == count { disk.faultPlan = FaultPlan() }
    }
    try manager.stepCompleted(1, state: ToyTrainer())
    let result = try manager.finish(saving: ToyTrainer(), step: 1).first
    return (result, waits.withLock { $0 })
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func aSaveWaitsForRoom(mode: SaveMode) throws {
    let outcome = try eventsOfASave(
      mode: mode, whenFull: .wait(every: .seconds(10), atMost: .seconds(3600)), roomAfter: 3)
    #expect(outcome.waits.count == 3)
    #expect(outcome.waits.last.map { $0 >= .seconds(20) } == true)
    #expect(disk.checkpoints().count == 1 && disk.temporaries().isEmpty)
  }

  @Test func theWaitHasAnEnd() throws {
    let manager = try disk.manager(
      space: SpacePolicy(whenFull: .wait(every: .seconds(10), atMost: .seconds(25))))
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    let start = disk.device.timeSource.monotonic()
    let error = try manager.failure(ToyTrainer(), step: 1)
    #expect(error.code == .outOfSpace)
    let waited = disk.device.timeSource.monotonic() - start
    #expect(waited >= 25_000_000_000 && waited < 45_000_000_000)
    #expect(try checkpointError { try manager.finish() }.code == .outOfSpace)
  }

  @Test func otherErrorsDoNotWait() throws {
    let manager = try disk.manager(
      space: SpacePolicy(whenFull: .wait(every: .seconds(10), atMost: .seconds(3600))))
    disk.faultPlan = FaultPlan([.init(.write, .error(EIO), .always)])
    #expect(try manager.failure(ToyTrainer(), step: 1).code == .io)
  }

  @Test func aRequestToStopEndsTheWaitOfTheBackgroundWhileTrainingWaitsForIt() throws {
    let manager = try disk.manager(
      mode: .background(whenBusy: .wait), stopping: StopPolicy(after: .seconds(60)),
      space: SpacePolicy(whenFull: .wait(every: .seconds(1), atMost: .seconds(100_000_000))))
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    try manager.stepCompleted(1, state: ToyTrainer())
    // Training is kept from going on by the first save, until the time is up.
    _ = try manager.stepCompleted(2, state: ToyTrainer())
    #expect(try checkpointError { try manager.finish() }.code == .outOfSpace)
    #expect(disk.device.timeSource.monotonic() < UInt64(Int64.max))
  }

  @Test func aManagerThatIsReleasedDoesNotWait() throws {
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    do {
      let manager = try disk.manager(
        mode: .background(),
        space: SpacePolicy(whenFull: .wait(every: .seconds(1), atMost: .seconds(100_000_000))))
      try manager.stepCompleted(1, state: ToyTrainer())
    }
    #expect(disk.checkpoints().isEmpty && disk.temporaries().isEmpty)
  }

  @Test(arguments: [
    (Duration.seconds(Int64.max), Duration.seconds(5)), (.zero, .milliseconds(20)),
    (.seconds(1), .seconds(-5)), (.seconds(-1), .milliseconds(3)),
  ])
  func extremeTimesNeitherTrapNorWaitLonger(every: Duration, atMost: Duration) throws {
    let manager = try disk.manager(
      space: SpacePolicy(whenFull: .wait(every: every, atMost: atMost)))
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    let start = disk.device.timeSource.monotonic()
    #expect(try manager.failure(ToyTrainer(), step: 1).code == .outOfSpace)
    #expect(disk.device.timeSource.monotonic() - start < 6_000_000_000)
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func aRequestToStopEndsTheWait(mode: SaveMode) throws {
    // The time limit comes while it waits for ever.
    let manager = try disk.manager(
      mode: mode, stopping: StopPolicy(after: .seconds(60)),
      space: SpacePolicy(whenFull: .wait(every: .seconds(10), atMost: .seconds(1_000_000))))
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    let start = disk.device.timeSource.monotonic()
    let first = try manager.stepCompleted(1, state: ToyTrainer())
    if case .started = first { disk.device.timeSource.sleep(60_000_000_000) }
    guard case .stopRequested(let report) = try manager.stepCompleted(2, state: ToyTrainer()) else {
      throw TrainerError()
    }
    #expect(!report.isSaved && report.reason == .timeLimit)
    // In the background the clock runs as fast as it is asked.
    let waited = disk.device.timeSource.monotonic() - start
    if mode == .blocking { #expect(waited < 200_000_000_000) }
  }
}
