import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: retention removes the oldest intact checkpoints beyond the last N, and nothing else.
@Suite struct RetentionTests {
  private let disk = SimulatedDisk()

  private func store(saving numbers: ClosedRange<UInt64>) throws -> CheckpointStore {
    let store = try disk.writer()
    for number in numbers { try store.save(SampleState(number), step: number) }
    return store
  }

  private func names(_ generations: ClosedRange<UInt64>) -> [String] {
    generations.map { checkpointName($0, $0) }
  }

  @Test(arguments: 1...6) func theLastNStay(count: Int) throws {
    let store = try store(saving: 1...5)
    let report = store.retain(last: count)
    let removed = names(1...5).dropLast(count)
    #expect(report.removed == removed.map { "/run/" + $0 })
    #expect(report.warnings.isEmpty)
    #expect(disk.checkpointNames == names(1...5).suffix(count))
  }

  @Test func nothingGoesBeforeASaveWasAcknowledged() throws {
    try disk.saveRun(1, 2, 3)
    let store = try disk.writer()
    #expect(store.retain(last: 1).removed.isEmpty)
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    #expect(store.retain(last: 1).removed.isEmpty)
    #expect(try disk.reader().retain(last: 1).removed.isEmpty)
    #expect(disk.checkpointNames == names(1...3))
  }

  @Test func damagedCheckpointsNeitherCountNorGo() throws {
    try disk.saveRun(1, 2, 3, 4)
    try disk.damage(checkpointName(3, 3))
    try disk.damage(checkpointName(1, 1))
    try disk.saveRun(5)
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    try store.save(SampleState(6), step: 6)
    try store.save(SampleState(7), step: 7)
    _ = store.retain(last: 2)
    let left = [names(1...1), names(3...3), names(6...7)].flatMap { $0 }
    #expect(disk.checkpointNames == left)
  }

  @Test func quarantinedCheckpointsNeitherCountNorGo() throws {
    try disk.saveRun(1, 2)
    let quarantined = checkpointName(2, 2) + ".damaged"
    try disk.put(quarantined, disk.contents(checkpointName(2, 2)))
    try disk.remove(checkpointName(2, 2))
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    for number in UInt64(3)...4 { try store.save(SampleState(number), step: number) }
    _ = store.retain(last: 2)
    #expect(disk.storeNames == [".lock", quarantined, checkpointName(3, 3), checkpointName(4, 4)])
  }

  @Test func pinnedCheckpointsStay() throws {
    let store = try disk.writer()
    let pinned = try store.save(SampleState(1), step: 1).checkpointIdentifier
    let alsoPinned = try store.save(SampleState(2), step: 2).checkpointIdentifier
    for number in UInt64(3)...5 { try store.save(SampleState(number), step: number) }
    try disk.put(".pin-\(pinned)", [])
    try disk.put(".pin-\(alsoPinned)", [])
    #expect(store.retain(last: 2).warnings.isEmpty)
    #expect(disk.checkpointNames == names(1...2) + names(4...5))
    try disk.remove(".pin-\(alsoPinned)")
    _ = store.retain(last: 2)
    #expect(disk.checkpointNames == names(1...1) + names(4...5))
  }

  @Test func heldCheckpointsStayWithAWarningUntilTheyAreReleased() throws {
    let store = try store(saving: 1...3)
    func hold() throws -> CheckpointHold {
      let path = "/run/" + checkpointName(1, 1)
      return try CheckpointReader.open(path: path, on: disk.device, threads: 1).hold()
    }
    func retainWhileHeld() throws {
      let held = try hold()
      let report = store.retain(last: 1)
      #expect(report.removed == ["/run/" + checkpointName(2, 2)])
      #expect(report.warnings.count == 1)
      #expect(report.warnings.first?.contains(held.path) == true)
    }
    try retainWhileHeld()
    #expect(store.retain(last: 1).removed == ["/run/" + checkpointName(1, 1)])
  }

  @Test(arguments: ["/run", "/run/", "/run/../run"])
  func theCheckpointResumedFromStaysUntilNSavesOfThisRun(path: String) throws {
    try disk.saveRun(1, 2, 3)
    let store = try CheckpointStore(path, for: .writing, options: options(on: disk))
    store.continueRun(
      from: try #require(try store.recover(.generation(1))).reader, choice: .deliberate)
    for number in UInt64(4)...5 {
      try store.save(SampleState(number), step: number)
      _ = store.retain(last: 3)
    }
    #expect(disk.checkpointNames == names(1...1) + names(3...5))
    try store.save(SampleState(6), step: 6)
    _ = store.retain(last: 3)
    #expect(disk.checkpointNames == names(4...6))
  }

  @Test func nothingGoesWhileRunsAreMixed() throws {
    try disk.saveRun(1, 2)
    let other = SimulatedDisk(seed: 99)
    try other.saveRun(1, 2, 3)
    try disk.put(checkpointName(3, 3), other.contents(checkpointName(3, 3)))
    let store = try disk.writer()
    store.continueRun(
      from: try #require(try store.recover(.generation(2))).reader, choice: .automatic)
    try store.save(SampleState(4), step: 4)
    let report = store.retain(last: 1)
    #expect(report.removed.isEmpty)
    #expect(report.warnings.count == 1)
    #expect(disk.checkpointNames.count == 4)
  }

  @Test func nothingGoesWhileTwoFilesShareAGeneration() throws {
    let store = try store(saving: 1...3)
    let other = SimulatedDisk(seed: 99)
    try other.saveRun(1)
    try disk.put("step-1.ckpt", other.contents(checkpointName(1, 1)))
    #expect(store.retain(last: 1).removed.isEmpty)
    #expect(disk.checkpointNames.count == 4)
  }

  @Test func aCopyNeitherCountsNorGoes() throws {
    let store = try store(saving: 1...4)
    try disk.put("step-4.ckpt", disk.contents(checkpointName(4, 4)))
    _ = store.retain(last: 2)
    #expect(disk.checkpointNames == names(3...4) + ["step-4.ckpt"])
  }

  @Test func aDamagedCopyDoesNotStandForItsOriginal() throws {
    let store = try store(saving: 1...4)
    for name in ["step-4.ckpt", "step-000000004.ckpt"] {
      try disk.put(name, disk.contents(checkpointName(4, 4)))
      try disk.damage(name)
    }
    _ = store.retain(last: 2)
    #expect(disk.checkpointNames.contains(checkpointName(3, 3)))
    #expect(disk.checkpointNames.contains(checkpointName(4, 4)))
    #expect(try #require(try disk.reader().recover()).generation == 4)
  }

  @Test func foreignNamesAreNeverTouched() throws {
    let foreign = [
      "STEP-000000001.g000001.ckpt", "checkpoint-500", "step-0000000001.g000001.ckpt",
      "step-1.ckpt.bak", "step-1.g1.ckpt", "step-1.g000001.ckpt", "step-x.ckpt",
      "step-000000001.g000000.ckpt", ".step-000000001.g000001.abc.tmp", "model.safetensors",
    ]
    let store = try disk.writer()
    for name in foreign { try disk.put(name, [1, 2, 3]) }
    for number in UInt64(2)...5 { try store.save(SampleState(number), step: number) }
    #expect(store.retain(last: 1).warnings.isEmpty)
    #expect(Set(disk.storeNames) == Set(foreign + [".lock", checkpointName(5, 4)]))
  }

  @Test func theOnlyOneIsReadBackFromTheDeviceBeforeItsPredecessorGoes() throws {
    let store = try store(saving: 1...2)
    let start = disk.operationCount
    _ = store.retain(last: 1)
    let operations = disk.operations[start...]
    let drop = try #require(operations.firstIndex { $0.kind == .dropCache })
    let unlink = try #require(operations.firstIndex { $0.kind == .unlink })
    #expect(operations[drop].name == checkpointName(2, 2))
    let reads = operations[drop..<unlink].filter {
      $0.kind == .read && $0.name == checkpointName(2, 2)
    }
    // Header and index too: what was read before the cache was dropped proves nothing.
    #expect(reads.contains { $0.offset == 0 && ($0.byteCount ?? 0) >= 4096 })
    let covered = reads.reduce(0) { $0 + ($1.byteCount ?? 0) }
    #expect(covered >= UInt64(try disk.contents(checkpointName(2, 2)).count))
  }

  @Test func thePredecessorStaysIfTheOnlyOneCannotBeReadBack() throws {
    let store = try store(saving: 1...2)
    try disk.damage(checkpointName(2, 2))
    let report = store.retain(last: 1)
    #expect(report.removed.isEmpty)
    #expect(report.warnings.count == 1)
    #expect(disk.checkpointNames == names(1...2))
  }

  @Test func failingToRemoveIsAWarning() throws {
    let store = try store(saving: 1...4)
    disk.faultPlan = FaultPlan([.init(.unlink, occurrence: 1, .error(EACCES))])
    let report = store.retain(last: 1)
    #expect(report.removed == ["/run/" + checkpointName(1, 1), "/run/" + checkpointName(3, 3)])
    #expect(report.warnings.count == 1)
    #expect(disk.checkpointNames == names(2...2) + names(4...4))
    #expect(store.retain(last: 1).removed == ["/run/" + checkpointName(2, 2)])
  }

  @Test(arguments: [DiskOperation.Kind.list, .open, .read, .status, .lock, .dropCache])
  func troubleOnTheWayRemovesNoCheckpointThatIsNeeded(kind: DiskOperation.Kind) throws {
    let store = try store(saving: 1...3)
    disk.faultPlan = FaultPlan([.init(kind, .error(EIO), .always)])
    _ = store.retain(last: 2)
    disk.faultPlan = FaultPlan()
    #expect(disk.checkpointNames.suffix(2) == names(2...3))
  }

  @Test func nothingGoesAfterASaveOfUnknownDurability() throws {
    let store = try store(saving: 1...3)
    disk.faultPlan = FaultPlan([.init(.sync, occurrence: 1, .errorLosingChanges(EIO))])
    #expect(errorCode { try store.save(SampleState(4), step: 4) } == .durabilityUnknown)
    #expect(store.retain(last: 1).removed.isEmpty)
    #expect(disk.checkpointNames == names(1...4))
    try store.save(SampleState(5), step: 5)
    // The uncertain one neither counts nor goes.
    #expect(store.retain(last: 2).removed == names(1...2).map { "/run/" + $0 })
    #expect(disk.checkpointNames == names(3...5))
  }

  @Test func aReadBackThatFindsDamageMakesTheFileNeitherCountNorGo() throws {
    let store = try store(saving: 1...2)
    try disk.damage(checkpointName(2, 2))
    #expect(store.retain(last: 1).removed.isEmpty)
    try store.save(SampleState(3), step: 3)
    #expect(store.retain(last: 1).removed == ["/run/" + checkpointName(1, 1)])
    #expect(disk.checkpointNames == names(2...3))
  }

  @Test func aGenerationThatIsPutInMeanwhileIsNotGivenOutAgain() throws {
    let store = try store(saving: 1...2)
    try disk.put("step-000000009.g000050.ckpt.damaged", [])
    _ = try store.entries()
    #expect(try store.save(SampleState(3), step: 3).generation == 51)
  }
}
