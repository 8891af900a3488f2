import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: migrating a store leaves every checkpoint what it was, in its place; what stops it, at any point
// and in any way, leaves each file the old one or the new one; and doing it again comes to the same bytes.
@Suite struct StoreMigrationTests {
  private static let plan = MigrationPlan(to: .v2)
  private static let lossy = MigrationPlan(to: .v2, [.drop("weight")])

  /// Three checkpoints of version 1, the oldest of them pinned; a copy, an emergency and a damaged one.
  private static func prepared(holdingACopy: Bool = true) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    let store = try disk.writer(formatVersion: .v1)
    for number in UInt64(1)...3 { try store.save(SampleState(number), step: number) }
    let first = try #require(try store.entries().last)
    try store.pin(first)
    if holdingACopy { try disk.put("step-3.ckpt", disk.contents(checkpointName(3, 3))) }
    let plan = try SampleState(9).plan()
    _ = try store.save(plan, step: 9, as: .emergency) { sink in
      try sink.append(SampleState(9).stream.rawSpan)
    }
    try disk.put(checkpointName(2, 2) + ".damaged", disk.contents(checkpointName(2, 2)))
    try disk.put("notes.txt", [1, 2, 3])
    return disk
  }

  private static func migrate(
    _ disk: SimulatedDisk, _ plan: MigrationPlan = plan, originals: String? = nil
  ) throws -> [StoreMigrationItem] {
    try disk.writer().migrate(plan, keepingOriginalsIn: originals)
  }

  /// The names and bytes of all files but the lock.
  private static func files(_ disk: SimulatedDisk) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in disk.storeNames where name != ".lock" { files[name] = try disk.contents(name) }
    return files
  }

  @Test func allThatWouldBeLostIsCounted() throws {
    let disk = try Self.prepared()
    let before = try Self.files(disk)
    for (steps, isMore) in [(["weight"], false), (["weight", "step"], true)] {
      do {
        _ = try Self.migrate(disk, MigrationPlan(to: .v2, steps.map { .drop($0) }))
        Issue.record("\(steps) are lost and nobody is told")
      } catch let error as CheckpointError {
        #expect(error.code == .incompatibleState)
        #expect(error.message.contains(", and 1 more") == isMore, "\(error.message)")
      }
    }
    #expect(try Self.files(disk) == before)
  }

  /// Nothing would tell which files a function was applied to.
  @Test func stepsWithFunctionsDoNotMigrateAStore() throws {
    let disk = try Self.prepared()
    let before = try Self.files(disk)
    let plan = MigrationPlan(
      to: .v2, [.make("made", dtype: .uint8, shape: [1], of: ["weight"]) { _ in [1] }])
    #expect(errorCode { _ = try disk.writer().migrate(plan) } == .invalidState)
    #expect(try Self.files(disk) == before)
  }

  @Test func everyCheckpointStaysWhatItWasInItsPlace() throws {
    let disk = try Self.prepared()
    let before = try disk.reader().entries()
    let items = try Self.migrate(disk)
    let after = try disk.reader().entries()
    #expect(after.map(\.name) == before.map(\.name))
    #expect(after.map(\.isPinned) == before.map(\.isPinned))
    #expect(after.map(\.generation) == before.map(\.generation))
    for (old, new) in zip(before, after) {
      var header = try #require(old.header)
      let isMigrated = old.role != .damaged
      header.formatVersion = isMigrated ? .v2 : .v1
      if isMigrated {
        header.saveIdentifier = Self.plan.saveIdentifier(
          after: header.saveIdentifier, by: header.writer)
      }
      #expect(new.header == header)
    }
    #expect(items.count == 6 && items.filter { $0.isMigration }.count == 5)
    let recovery = try #require(try disk.reader().recover())
    #expect(recovery.reader.header.generation == 3 && recovery.skipped.isEmpty)
    #expect(try recovery.reader.read("weight") == SampleState(3).tensors[0].bytes)
    // The copy is a copy still: two that differ and share a generation would be ambiguous.
    #expect(try disk.contents("step-3.ckpt") == disk.contents(checkpointName(3, 3)))
    #expect(try Self.migrate(disk).allSatisfy { !$0.isMigration })
  }

  @Test func aRunGoesOnInAStoreOfBothVersions() throws {
    let disk = SimulatedDisk()
    let old = try disk.writer(formatVersion: .v1)
    try old.save(SampleState(1), step: 1)
    try old.save(SampleState(2), step: 2)
    withExtendedLifetime(old) {}
    try disk.remove(".lock")
    try disk.saveRun(3)
    let entries = try disk.reader().entries()
    #expect(entries.compactMap { $0.header?.formatVersion } == [.v2, .v1, .v1])
    #expect(Set(entries.compactMap { $0.header?.runIdentifier }).count == 1)
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    try store.save(SampleState(4), step: 4)
    #expect(store.retain(last: 2).removed.count == 2)
    #expect(try disk.reader().entries().count == 2)
  }

  @Test func whatLosesSomethingNeedsTheOriginals() throws {
    let disk = try Self.prepared()
    let before = try Self.files(disk)
    let error = #expect(throws: CheckpointError.self) { _ = try Self.migrate(disk, Self.lossy) }
    #expect(error?.code == .incompatibleState)
    #expect(error?.message.contains("'weight' is dropped") == true)
    #expect(error?.message.contains("--keep-originals") == true)
    // One of two copies migrated and the other not: nothing would say which one is meant.
    #expect(
      errorCode { _ = try Self.migrate(disk, Self.lossy, originals: "/kept") } == .ambiguous)
    #expect(try Self.files(disk) == before)
    try disk.remove("step-3.ckpt")
    #expect(
      errorCode { _ = try Self.migrate(disk, Self.lossy, originals: "/run") } == .incompatibleState)
    #expect(
      errorCode { _ = try Self.migrate(disk, Self.lossy, originals: "/run/../run") }
        == .incompatibleState)
    _ = try Self.migrate(disk, Self.lossy, originals: "/kept")
    let kept = disk.names(inDirectoryAt: "/kept") ?? []
    #expect(kept.count == 4)
    for name in kept { #expect(disk.contents(ofFileAt: "/kept/" + name) == before[name]) }
    let recovery = try #require(try disk.reader().recover())
    #expect(recovery.reader.tensors.map(\.name) == ["step"])
    // Another file under an original's name is not taken for it.
    let other = try Self.prepared(holdingACopy: false)
    _ = try Self.migrate(other, Self.plan, originals: "/kept")
    let path = "/kept/" + checkpointName(1, 1)
    var bytes = try #require(other.contents(ofFileAt: path))
    bytes[5000] ^= 1
    #expect(other.replaceContents(ofFileAt: path, with: bytes))
    #expect(
      errorCode { _ = try Self.migrate(other, Self.lossy, originals: "/kept") } == .alreadyExists)
  }

  @Test func whatIsDamagedStaysAndTheOthersDoNot() throws {
    let disk = try Self.prepared()
    try disk.damage(checkpointName(2, 2))
    let bytes = try disk.contents(checkpointName(2, 2))
    let items = try Self.migrate(disk)
    let stays = items.compactMap { item -> (String, CheckpointError.Code)? in
      guard case .stays(let error) = item.action else { return nil }
      return (item.entry.name, error.code)
    }
    #expect(stays.map(\.0).sorted() == [checkpointName(2, 2), checkpointName(2, 2) + ".damaged"])
    #expect(stays.allSatisfy { $0.1 == .corrupted })
    #expect(try disk.contents(checkpointName(2, 2)) == bytes)
    #expect(disk.temporaryNames.isEmpty)
    #expect(items.filter { $0.isMigration }.count == 4)
  }

  @Test func aStepThatDoesNotFitOneCheckpointChangesNone() throws {
    let disk = SimulatedDisk()
    try disk.saveRun(1, 2)
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    try store.save(SampleState(), step: 3)
    withExtendedLifetime(store) {}
    let before = try Self.files(disk)
    let error = #expect(throws: CheckpointError.self) {
      _ = try disk.reader().migrationItems(MigrationPlan([.rename("weight", to: "w")]))
    }
    #expect(error?.location?.path.hasSuffix(checkpointName(3, 3)) == true)
    #expect(try Self.files(disk) == before)
  }

  // MARK: Faults

  /// What a file may be at any moment.
  private struct Expected {
    let old: [String: [UInt8]]
    let new: [String: [UInt8]]
    let kept: [String: [UInt8]]?

    func check(_ disk: SimulatedDisk, _ comment: Comment) throws {
      let files = try files(disk)
      for (name, bytes) in files where !name.hasSuffix(".tmp") {
        try #require(bytes == old[name] || bytes == new[name], comment)
        // Nothing is lost that the new one does not have.
        if let kept, bytes == new[name], bytes != old[name] {
          try #require(disk.contents(ofFileAt: "/kept/" + name) == kept[name], comment)
        }
      }
      try #require(old.keys.allSatisfy { files[$0] != nil }, comment)
      let recovery = try #require(try disk.reader().recover(), comment)
      try #require(recovery.reader.header.generation == 3 && recovery.skipped.isEmpty, comment)
    }
  }

  private func expected(_ plan: MigrationPlan, originals: String?) throws -> Expected {
    let disk = try Self.prepared(holdingACopy: originals == nil)
    let old = try Self.files(disk)
    _ = try Self.migrate(disk, plan, originals: originals)
    return Expected(old: old, new: try Self.files(disk), kept: originals == nil ? nil : old)
  }

  @Test(arguments: [nil, "/kept"]) func aPowerCutAtAnyCallLosesNothing(originals: String?) throws {
    let plan = originals == nil ? Self.plan : Self.lossy
    let prepared = try Self.prepared(holdingACopy: originals == nil)
    let expected = try expected(plan, originals: originals)
    let whole = prepared.copy()
    _ = try Self.migrate(whole, plan, originals: originals)
    var stateCount = 0
    for index in 0...whole.operationCount {
      let disk = prepared.copy()
      disk.crash(beforeOperation: index)
      _ = try? Self.migrate(disk, plan, originals: originals)
      for survivor in disk.postCrashStates(limit: 5, seed: UInt64(index)) {
        stateCount += 1
        let comment: Comment = "crash before call \(index)"
        try expected.check(survivor, comment)
        _ = try Self.migrate(survivor, plan, originals: originals)
        try #require(try Self.files(survivor) == expected.new, comment)
        try #require(survivor.temporaryNames.isEmpty, comment)
      }
    }
    #expect(stateCount > 500)
  }

  @Test(arguments: [ENOSPC, EIO, EINTR]) func anyCallFailingLosesNothing(errno: Int32) throws {
    let prepared = try Self.prepared(holdingACopy: false)
    let expected = try expected(Self.lossy, originals: "/kept")
    let whole = prepared.copy()
    _ = try Self.migrate(whole, Self.lossy, originals: "/kept")
    for index in 0..<whole.operationCount {
      for effect in [FaultPlan.Effect.error(errno), .errorAfterEffect(errno)] {
        let disk = prepared.copy()
        disk.faultPlan = FaultPlan([FaultPlan.Fault(occurrence: index, effect, .once)])
        _ = try? Self.migrate(disk, Self.lossy, originals: "/kept")
        disk.faultPlan = FaultPlan()
        let comment: Comment = "\(effect) of call \(index): \(whole.operations[index])"
        try expected.check(disk, comment)
        _ = try Self.migrate(disk, Self.lossy, originals: "/kept")
        try #require(try Self.files(disk) == expected.new, comment)
        try #require(disk.openDescriptorCount == 0, comment)
      }
    }
  }

  /// A disk that keeps other bytes than it was given: the file is read again before it has a name.
  @Test func whatTheDiskHasSpoiltTakesNoName() throws {
    let prepared = try Self.prepared()
    let before = try Self.files(prepared)
    let device = SpoilingBackend(prepared).device
    let store = try CheckpointStore(
      SimulatedDisk.storePath, for: .writing,
      options: {
        var all = options(on: prepared)
        all.device = device
        return all
      }())
    // A machine that was seen to be unreliable goes no further.
    #expect(errorCode { _ = try store.migrate(Self.plan) } == .corrupted)
    #expect(try Self.files(prepared) == before)
  }
}

/// A disk that takes a byte for another one in everything but the first block of a file.
private final class SpoilingBackend: ForwardingBackend {
  let base: any StorageBackend
  private let disk: SimulatedDisk

  init(_ disk: SimulatedDisk) {
    self.disk = disk
    base = disk.device.backend
  }

  var device: StorageDevice {
    StorageDevice(
      backend: self, timeSource: disk.device.timeSource, randomBits: disk.device.randomBits)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    var spoilt: [UInt8] = []
    for index in bytes.byteOffsets {
      // SAFETY: within the span.
      spoilt.append(unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
    }
    if offset > 0 { spoilt[100] ^= 4 }
    return try base.write(descriptor, spoilt.rawSpan, at: offset)
  }
}
