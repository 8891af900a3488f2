import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

/// What a training program does to a store, and what it was told; played until the power fails.
struct CrashScenario: Sendable, CustomTestStringConvertible {
  /// The steps saved before the part that is cut short, and those saved in it.
  var earlierSteps: [UInt64]
  var steps: [UInt64]
  /// Retention after each save, if any.
  var keptCount: Int?
  var path = "/runs/a"

  static let all = [
    CrashScenario(earlierSteps: [], steps: [1]),
    CrashScenario(earlierSteps: [1], steps: [2]),
    CrashScenario(earlierSteps: [1, 2], steps: [3], keptCount: 1),
    CrashScenario(earlierSteps: [1, 2, 3], steps: [4], keptCount: 2),
    CrashScenario(earlierSteps: [1], steps: [2, 3], keptCount: 1),
  ]

  var testDescription: String {
    "\(earlierSteps) then \(steps)" + (keptCount.map { ", retain(last: \($0))" } ?? "")
  }

  /// What the program remembers of a run.
  struct Ledger {
    /// The highest generation that a save acknowledged.
    var acknowledged: UInt64 = 0
    /// The step that each generation was tried with.
    var attempted: [UInt64: UInt64] = [:]
  }

  /// Everything before the part that is cut short; the disk is as after a reboot.
  func prepared() throws -> (disk: SimulatedDisk, ledger: Ledger) {
    let disk = SimulatedDisk()
    var ledger = Ledger()
    if !earlierSteps.isEmpty { try save(earlierSteps, on: disk, keptCount: nil, &ledger) }
    return (disk.copy(), ledger)
  }

  /// The part that is cut short.
  func play(on disk: SimulatedDisk, _ ledger: inout Ledger) throws {
    try save(steps, on: disk, keptCount: keptCount, &ledger)
  }

  private func save(
    _ steps: [UInt64], on disk: SimulatedDisk, keptCount: Int?, _ ledger: inout Ledger
  ) throws {
    let store = try open(disk)
    if let recovery = try store.recover() {
      store.continueRun(from: recovery.reader, choice: .automatic)
    }
    for step in steps {
      // A generation is one more than the last, whatever became of that.
      ledger.attempted[(ledger.attempted.keys.max() ?? 0) + 1] = step
      let receipt = try store.save(step: step)
      ledger.acknowledged = receipt.generation
      if let keptCount { _ = store.retain(last: keptCount) }
    }
  }

  func open(_ disk: SimulatedDisk) throws -> CheckpointStore {
    try CheckpointStore(
      path, for: .writing,
      options: StoreOptions(device: disk.device, chunkByteCount: 64, threads: 1))
  }

  /// How many system calls the part that is cut short makes.
  func operationCount() throws -> Int {
    var (disk, ledger) = try prepared()
    try play(on: disk, &ledger)
    return disk.operationCount
  }

  /// Cuts the power before call `index`; what the program had been told by then.
  func crash(beforeOperation index: Int) throws -> (disk: SimulatedDisk, ledger: Ledger) {
    var (disk, ledger) = try prepared()
    disk.crash(beforeOperation: index)
    do {
      try play(on: disk, &ledger)
      // Only cleaning up was left to do.
      disk.crash()
    } catch let error as CheckpointError {
      #expect(disk.hasCrashed, "\(error)")
    }
    return (disk, ledger)
  }

  // MARK: Checks

  /// Requires of a disk that lost power that nothing acknowledged is lost or wrong, and that work
  /// can go on.
  func check(_ survivor: SimulatedDisk, _ ledger: Ledger) throws {
    let generation = try recoverAndCheck(survivor, ledger)
    var later = ledger
    later.acknowledged = try resumeAndSave(survivor, step: 99)
    later.attempted[later.acknowledged] = 99
    try #require(later.acknowledged > max(generation ?? 0, ledger.acknowledged))
    try #require(recoverAndCheck(survivor, later) == later.acknowledged)
    let names = try #require(survivor.names(inDirectoryAt: path))
    try #require(!names.contains { $0.hasSuffix(".tmp") }, "\(names)")
  }

  /// Goes on from what there is; the generation that was acknowledged.
  func resumeAndSave(_ disk: SimulatedDisk, step: UInt64) throws -> UInt64 {
    let store = try open(disk)
    if let recovery = try store.recover() {
      store.continueRun(from: recovery.reader, choice: .automatic)
    }
    let receipt = try store.save(step: step)
    if let keptCount {
      let report = store.retain(last: keptCount)
      try #require(report.warnings.isEmpty || disk.hasCrashed, "\(report.warnings)")
    }
    return receipt.generation
  }

  /// The generation that is recovered, if it is a right one.
  func recoverAndCheck(_ disk: SimulatedDisk, _ ledger: Ledger) throws -> UInt64? {
    guard let recovery = try open(disk).recover() else {
      try #require(ledger.acknowledged == 0, "every checkpoint is gone")
      return nil
    }
    let header = recovery.reader.header
    try #require(recovery.skipped.isEmpty, "a broken file has a checkpoint's name")
    try #require(header.generation >= ledger.acknowledged, "an acknowledged save is gone")
    try #require(ledger.attempted[header.generation] == header.step)
    try #require(recovery.reader.read("weight") == payload(header.step))
    return header.generation
  }
}

/// The bytes that are saved at a step; some chunks deflate, some do not.
func payload(_ step: UInt64) -> [UInt8] {
  (0..<160).map { $0 < 64 ? UInt8(step) : UInt8(truncatingIfNeeded: $0 * $0 * 37 + Int(step)) }
}

extension CheckpointStore {
  @discardableResult
  func save(step: UInt64) throws -> SaveReceipt {
    var plan = SavePlan()
    let bytes = payload(step)
    try plan.append(TensorDescriptor(name: "weight", dtype: .uint8, shape: [bytes.count]))
    plan.metadata[.state, "step"] = .uint64(step)
    return try save(plan, step: step) { sink in try sink.append(bytes.rawSpan) }
  }
}
