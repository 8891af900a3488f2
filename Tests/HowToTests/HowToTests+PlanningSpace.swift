import CheckpointTesting
import CheckpointTraining
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// Goal: the room that the page names is enough and one byte less is not; a budget gives up what it says,
// in that order; on a full disk each policy does what the page says, and what was saved stays intact.
// Method: simulated disks with a capacity, and checkpoints whose size is measured first.
extension HowToTests {
  @Test func oneMoreThanIsKeptMustFit() throws {
    let size = try checkpointByteCount()
    let enough = SimulatedDisk()
    enough.capacity = 4 * size + lockByteCount
    let manager = try plainManager(on: enough, keeping: .last(3))
    for step in 1...8 {
      guard case .saved = try manager.save(Trainer(), step: step) else { throw KeepsOne.NotSaved() }
    }
    let short = SimulatedDisk()
    short.capacity = 4 * size - 1
    let other = try plainManager(on: short, keeping: .last(3))
    let results = try (1...4).map { try other.save(Trainer(), step: $0) }
    guard case .failed(let error) = results.last else { throw KeepsOne.NotSaved() }
    #expect(error.code == .outOfSpace)
    #expect(steps(on: short) == [1, 2, 3] && temporaries(on: short).isEmpty)
  }

  @Test func tooLittleRoomIsToldBeforeTheRun() throws {
    let disk = SimulatedDisk()
    let need = try frugal(on: disk).estimateSpace(for: Trainer())
    #expect(need.keptCount == 4 && need.neededByteCount == 5 * need.checkpointByteCount)
    #expect(try need.checkpointByteCount >= checkpointByteCount())
    disk.capacity = need.neededByteCount - 1
    let manager = try frugal(on: disk)
    #expect(try !tellRoom(for: Trainer(), with: manager))
    var trainer = Trainer()
    let error = #expect(throws: CheckpointError.self) {
      try manager.resume(&trainer, from: .latest)
    }
    #expect(error?.code == .outOfSpace && error?.message.contains("4 of them kept") == true)
    disk.capacity = need.neededByteCount + lockByteCount
    #expect(try tellRoom(for: Trainer(), with: manager))
    #expect(try manager.resume(&trainer, from: .latest).space?.fits == true)
    // What is there already counts; a budget is all that is needed, and one being saved.
    try manager.save(trainer, step: 1)
    let rest = try manager.estimateSpace(for: Trainer()).neededByteCount
    #expect(rest == need.neededByteCount - (try checkpointByteCount()))
    let budget = 2 * need.checkpointByteCount
    let bounded = try frugal("/other", budget: budget, on: disk).estimateSpace(for: Trainer())
    #expect(bounded.neededByteCount == 3 * need.checkpointByteCount)
  }

  @Test func byDefaultTheRunIsWarned() throws {
    let disk = SimulatedDisk()
    disk.capacity = try checkpointByteCount()
    let manager = try plainManager(on: disk, keeping: .last(3))
    let all = Warnings()
    manager.onEvent { all.note($0) }
    var trainer = Trainer()
    #expect(try manager.resume(&trainer, from: .latest).space?.fits == false)
    #expect(all.texts.count == 1 && all.texts[0].contains("give the store a budget"))
  }

  @Test func aBudgetGivesUpTheOldestFirstAndTheBestLast() throws {
    let size = try checkpointByteCount()
    for (count, kept) in [(4, [1, 4, 5, 6]), (3, [1, 5, 6]), (2, [1, 6]), (1, [6])] {
      let disk = SimulatedDisk()
      let manager = try frugal(budget: UInt64(count) * size + size / 2, on: disk)
      let warnings = Warnings()
      manager.onEvent { warnings.note($0) }
      for step in 1...6 {
        try manager.save(Trainer(), step: step, metrics: ["eval_loss": step == 1 ? 1 : 2])
      }
      #expect(steps(on: disk) == kept)
      #expect(warnings.texts.isEmpty)
      #expect(try manager.retentionPlan().allSatisfy { !$0.isRemoved })
    }
  }

  @Test func whatMustStayExceedsABudgetWithAWarning() throws {
    let disk = SimulatedDisk()
    let manager = try frugal(budget: 1, on: disk)
    let warnings = Warnings()
    manager.onEvent { warnings.note($0) }
    try manager.save(Trainer(), step: 1)
    let reader = try CheckpointReader.open(path: path(step: 1, on: disk), on: disk.device)
    try manager.save(Trainer(), step: 2)
    #expect(steps(on: disk) == [1, 2])  // the newest, and what a reader holds
    #expect(warnings.texts.contains { $0.contains("is held by a reader and stays") })
    #expect(warnings.texts.last?.contains("more than their budget of 1") == true)
    withExtendedLifetime(reader) {}
  }

  @Test func aSaveWaitsUntilThereIsRoom() throws {
    let size = try checkpointByteCount()
    let disk = SimulatedDisk()
    let manager = try frugal(on: disk)
    disk.capacity = size / 2
    let waits = Warnings()
    manager.onEvent { event in
      guard case .waitsForSpace(_, let error, let waited) = event else { return }
      waits.add("\(error.code) \(waited >= .seconds(20))")
      if waits.texts.count == 3 { disk.capacity = nil }  // somebody frees some
    }
    guard case .saved = try manager.save(Trainer(), step: 1) else { throw KeepsOne.NotSaved() }
    #expect(waits.texts == ["outOfSpace false", "outOfSpace false", "outOfSpace true"])
  }

  @Test func afterTheWaitTheRunGoesOnOrStops() throws {
    for policy in [SaveFailurePolicy.report, .stop] {
      let disk = SimulatedDisk()
      let manager = try frugal(onSaveFailure: policy, on: disk)
      try manager.save(Trainer(), step: 0)
      disk.capacity = try checkpointByteCount()
      let start = disk.device.timeSource.monotonic()
      if policy == .stop {
        let error = #expect(throws: CheckpointError.self) {
          try manager.stepCompleted(500, state: Trainer())
        }
        #expect(error?.code == .outOfSpace)
      } else {
        let outcome = try manager.stepCompleted(500, state: Trainer())
        guard case .failed(let error) = outcome else { throw KeepsOne.NotSaved() }
        #expect(error.code == .outOfSpace)
      }
      #expect(disk.device.timeSource.monotonic() - start >= 3_600_000_000_000)
      #expect(steps(on: disk) == [0] && temporaries(on: disk).isEmpty)
    }
  }

  @Test func aRunGoesOnThroughAFullDiskAndLosesNothingElse() throws {
    let size = try checkpointByteCount()
    let disk = SimulatedDisk()
    disk.capacity = 2 * size + size / 2
    var trainer = Trainer()
    let manager = try plainManager(on: disk, saving: .every(steps: 10), keeping: .all)
    let error = #expect(throws: CheckpointError.self) {
      try trainThroughAFullDisk(&trainer, with: manager, toStep: 45)
    }
    #expect(error?.code == .outOfSpace && trainer.step == 45)
    #expect(steps(on: disk) == [10, 20])
    // As after a crash: with room it goes on from the last that was saved, and ends as it would have.
    let copy = disk.copy()
    copy.capacity = nil
    var resumed = Trainer()
    let next = try plainManager(on: copy, saving: .every(steps: 10), keeping: .all)
    try trainThroughAFullDisk(&resumed, with: next, toStep: 45)
    #expect(try stateDigest(of: resumed) == stateDigest(of: trainer))
    #expect(steps(on: copy) == [10, 20, 30, 40, 45])
  }

  @Test func aQuotaThatIsUsedUpIsAFullDisk() throws {
    let disk = SimulatedDisk()
    let manager = try plainManager(on: disk, keeping: .last(3))
    disk.faultPlan = FaultPlan([.init(.write, .error(EDQUOT), .always)])
    guard case .failed(let error) = try manager.save(Trainer(), step: 1) else {
      throw KeepsOne.NotSaved()
    }
    #expect(error.code == .outOfSpace && error.message.contains("quota"))
  }
}

/// The most that `.lock` may have.
private let lockByteCount: UInt64 = 64

private func options(on disk: SimulatedDisk) -> StoreOptions {
  StoreOptions(device: disk.device, compression: .none, threads: 1)
}

private func plainManager(
  on disk: SimulatedDisk, saving: SavePolicy = .manual, keeping: RetentionPolicy
) throws -> CheckpointManager {
  try CheckpointManager(
    directory: "/run", saving: saving, keeping: keeping, options: options(on: disk))
}

/// The page's manager.
private func frugal(
  _ path: String = "/run", budget: UInt64 = 20 << 30, onSaveFailure: SaveFailurePolicy = .report,
  on disk: SimulatedDisk
) throws -> CheckpointManager {
  try makeFrugalManager(
    path, budget: budget, onSaveFailure: onSaveFailure, options: options(on: disk))
}

/// Of one checkpoint, as it lies on the disk.
private func checkpointByteCount() throws -> UInt64 {
  let disk = SimulatedDisk()
  try plainManager(on: disk, keeping: .all).save(Trainer(), step: 1)
  return UInt64(try #require(disk.contents(ofFileAt: path(step: 1, on: disk))).count)
}

private func names(on disk: SimulatedDisk) -> [String] {
  disk.names(inDirectoryAt: "/run") ?? []
}

private func path(step: Int, on disk: SimulatedDisk) throws -> String {
  let start = "step-" + String(1_000_000_000 + step).dropFirst()
  return "/run/" + (try #require(names(on: disk).first { $0.hasPrefix(start) }))
}

/// Of the checkpoints that are there, oldest first.
private func steps(on disk: SimulatedDisk) -> [Int] {
  names(on: disk).filter { $0.hasSuffix(".ckpt") }
    .compactMap { Int($0.dropFirst("step-".count).prefix(9)) }.sorted()
}

private func temporaries(on disk: SimulatedDisk) -> [String] {
  names(on: disk).filter { $0.hasSuffix(".tmp") }
}

private final class Warnings: Sendable {
  private let lines = Mutex<[String]>([])
  var texts: [String] { lines.withLock { $0 } }
  func add(_ text: String) { lines.withLock { $0.append(text) } }
  func note(_ event: CheckpointEvent) { if case .warning(let text) = event { add(text) } }
}
