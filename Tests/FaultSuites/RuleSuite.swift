import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Rules that no crash is needed for: what stops a resume, what retention spares, and what a program
// that takes no notice of errors gets.

package enum RuleSuite {
  package static let name = "rules"

  private static let rules: [(String, @Sendable (Harness) throws -> Void)] = [
    ("nothing begins afresh over damaged files", refusesToBeginAfresh),
    ("two checkpoints of one generation are ambiguous", findsAmbiguity),
    ("the only predecessor stays until the new file was read back", readsBack),
    ("the checkpoint resumed from stays until the run has its own", sparesTheResumedOne),
    ("a write that failed is never forgotten", remembersFailedWrites),
    ("a file system that shuts itself down acknowledges nothing", noticesAShutdown),
    ("a second copy of a file neither counts nor goes", countsAFileOnce),
    ("the best of the run's own lineage stays", keepsTheBestOfTheLineage),
    ("the last healthy one stays", keepsTheLastHealthyOne),
  ]

  /// Checks every rule.
  package static func run(_ harness: Harness) -> SuiteResult {
    var result = SuiteResult(name)
    for (rule, check) in rules {
      result.caseCount += 1
      let isSound = result.expect(rule) { _ in try check(harness) }
      if harness.stopsAtFirst, !isSound { break }
    }
    return result
  }

  /// A disk on which `actions` were played.
  private static func disk(_ harness: Harness, _ actions: [Action]) throws -> SimulatedDisk {
    try PreparedScenario(Scenario("", after: actions, []), harness).player().disk
  }

  /// The code of the error that `body` throws; nil if it throws none.
  private static func code(_ body: () throws -> Void) throws -> CheckpointError.Code? {
    do {
      try body()
      return nil
    } catch let error as CheckpointError {
      return error.code
    }
  }

  private static func refusesToBeginAfresh(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1), .damage])
    let store = try harness.open(disk)
    let code = try code { _ = try store.recover() }
    try require(code == .noIntactCheckpoint, "recovery says \(code as Any)")
  }

  private static func findsAmbiguity(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1)])
    let other = SimulatedDisk(seed: 77)
    try Player(other, harness).play([.save(step: 2)])
    guard let name = other.checkpointNames.first,
      let bytes = other.contents(ofFileAt: Harness.storePath + "/" + name)
    else { throw Violation("there is nothing to copy") }
    let backend = disk.device.backend
    try disk.inStore { directory in
      let file = try backend.open(name, in: directory, for: .creating(permissions: 0o600))
      try backend.writeAll(file, bytes.rawSpan, at: 0)
      try backend.close(file)
    }
    let store = try harness.open(disk)
    let code = try code { _ = try store.recover() }
    try require(code == .ambiguous, "recovery says \(code as Any)")
  }

  private static func readsBack(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1)])
    let store = try harness.open(disk)
    try store.resume(.latest)
    let receipt = try store.save(Ledger.Content(step: 2))
    // The device does not hold what it was given.
    guard var bytes = disk.contents(ofFileAt: receipt.path) else {
      throw Violation("the new file is not there")
    }
    bytes[5000] ^= 0x40
    disk.replaceContents(ofFileAt: receipt.path, with: bytes)
    let report = store.retain(last: 1)
    try require(report.removed.isEmpty, "\(report.removed) went, and the new file is damaged")
    try require(!report.warnings.isEmpty, "nobody is told that the new file is damaged")
  }

  private static func sparesTheResumedOne(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1), .save(step: 2), .save(step: 3)])
    let store = try harness.open(disk)
    try store.resume(.step(1))
    try store.save(Ledger.Content(step: 4))
    _ = store.retain(last: 2)
    try require(
      disk.checkpointNames.map(\.generation) == [1, 3, 4], "\(disk.checkpointNames) are left")
    try store.save(Ledger.Content(step: 5))
    _ = store.retain(last: 2)
    try require(
      disk.checkpointNames.map(\.generation) == [4, 5], "\(disk.checkpointNames) are left")
  }

  /// Enough chunks that some are written while the program still provides others.
  private static func remembersFailedWrites(_ harness: Harness) throws {
    for occurrence in 0..<4 {
      let disk = try disk(harness, [.save(step: 1)])
      let store = try harness.open(disk)
      var plan = SavePlan()
      let bytes = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 * $0 * 37) }
      try plan.append(TensorDescriptor(name: "large", dtype: .uint8, shape: [bytes.count]))
      disk.faultPlan = FaultPlan([.init(.write, occurrence: occurrence, .error(ENOSPC))])
      let code = try code {
        _ = try store.save(plan, step: 2) { sink in
          for start in stride(from: 0, to: bytes.count, by: 50_000) {
            try? sink.append(Array(bytes[start..<start + 50_000]).rawSpan)
          }
        }
      }
      let name = disk.checkpointNames.last ?? ""
      try require(
        code == .outOfSpace && name.generation == 1,
        "write \(occurrence) failed, and the save says \(code as Any); there is \(name)")
    }
  }

  /// XFS reports success of a directory's fsync then, and nothing else succeeds.
  private static func noticesAShutdown(_ harness: Harness) throws {
    func resumed() throws -> (SimulatedDisk, CheckpointStore) {
      let disk = try Self.disk(harness, [.save(step: 1)])
      let store = try harness.open(disk)
      try store.resume(.latest)
      return (disk, store)
    }
    let (rehearsal, first) = try resumed()
    let start = rehearsal.operationCount
    try first.save(Ledger.Content(step: 2))
    let calls = rehearsal.operations[start...]
    let published = calls.prefix { $0.kind != .rename }
    let (disk, store) = try resumed()
    disk.faultPlan = FaultPlan([
      .init(.sync, occurrence: published.count { $0.kind == .sync }, .ignored, .always),
      .init(.status, occurrence: published.count { $0.kind == .status }, .error(EIO), .always),
    ])
    let code = try code { _ = try store.save(Ledger.Content(step: 2)) }
    try require(code == .durabilityUnknown, "the save says \(code as Any)")
  }

  /// Step 2 was better on the branch that the run was taken back from.
  private static func keepsTheLastHealthyOne(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1), .save(step: 2)])
    let store = try harness.open(disk)
    try store.resume(.latest)
    for step in UInt64(3)...5 {
      try store.save(Ledger.Content(step: step), unhealthy: "NaN")
      _ = store.retain(last: 1)
    }
    guard let recovery = try store.recover(.latestHealthy) else { throw Violation("none is left") }
    try require(recovery.reader.header.step == 2, "step \(recovery.reader.header.step) is left")
    try require(recovery.skipped.map(\.reason.code) == [.unhealthy], "\(recovery.skipped)")
  }

  private static func keepsTheBestOfTheLineage(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1)])
    let policy = RetentionPolicy.last(1) + .best(1, of: "loss", .lowest)
    for (resumed, losses) in [(UInt64(1), [0.1]), (1, [0.5]), (3, [0.9, 0.8])] {
      let store = try harness.open(disk)
      try store.resume(.generation(resumed))
      for loss in losses {
        try store.save(Ledger.Content(step: 2), metrics: ["loss": loss])
        if resumed > 1 { _ = store.retain(policy) }
      }
    }
    try require(
      disk.checkpointNames.map(\.generation) == [3, 5], "\(disk.checkpointNames) are left")
  }

  private static func countsAFileOnce(_ harness: Harness) throws {
    let disk = try disk(harness, [.save(step: 1), .save(step: 2), .save(step: 3)])
    let names = disk.checkpointNames
    try disk.inStore { directory in
      try disk.device.backend.link(names[2], to: "step-3.ckpt", in: directory)
    }
    let store = try harness.open(disk)
    try store.resume(.latest)
    try store.save(Ledger.Content(step: 4))
    _ = store.retain(last: 3)
    try require(
      Set(disk.checkpointNames.map(\.generation)).isSuperset(of: [2, 3, 4]),
      "\(disk.checkpointNames) are left")
  }
}

extension CheckpointStore {
  /// Resumes, and lets go of the file, which retention would spare otherwise.
  fileprivate func resume(_ selection: CheckpointSelection) throws {
    guard let recovery = try recover(selection) else { throw Violation("nothing was recovered") }
    continueRun(
      from: recovery.reader, choice: selection == .latest ? .automatic : .deliberate)
  }
}
