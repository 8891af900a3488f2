import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: recovery takes the newest intact checkpoint, falls back over damage alone, and says what it
// passed over.
@Suite struct RecoveryTests {
  private let disk = SimulatedDisk()

  private func recover(_ selection: CheckpointSelection = .latest) throws -> Recovery? {
    try disk.reader().recover(selection)
  }

  /// A file of this store that needs a newer build, by its version.
  private func fromTheFuture(_ name: String) throws -> [UInt8] {
    var file = EditableFile(try disk.contents(name))
    file.store(999, 4, at: 12)
    file.reseal()
    return file.bytes
  }

  @Test func theHighestGenerationIsTheNewestWhateverItsStep() throws {
    try disk.saveRun(900, 5, 70)
    #expect(try recover()?.step == 70)
    #expect(try recover()?.generation == 3)
  }

  @Test func aStoreWithoutOurNamesStartsAfresh() throws {
    _ = try disk.writer()
    for name in ["model.safetensors", "checkpoint-500", "step-1.ckpt.bak", ".step-1.tmp"] {
      try disk.put(name, [1])
    }
    #expect(try recover() == nil)
    #expect(errorCode { _ = try recover(.step(1)) } == .notFound)
    #expect(errorCode { _ = try recover(.generation(1)) } == .notFound)
  }

  @Test func aStoreThatIsNotThereIsAnError() {
    #expect(errorCode { _ = try disk.reader() } == .notFound)
  }

  @Test func damageIsPassedOverAndReported() throws {
    try disk.saveRun(1, 2, 3, 4)
    try disk.damage(checkpointName(4, 4))
    disk.replace(checkpointName(3, 3), with: [])
    let recovery = try #require(try recover())
    #expect(recovery.generation == 2)
    try recovery.reader.requireHolds(SampleState(2))
    #expect(recovery.skipped.map(\.path) == [4, 3].map { "/run/" + checkpointName($0, $0) })
    #expect(recovery.skipped.allSatisfy { $0.reason.code == .corrupted })
  }

  @Test func whatIsNoRegularFileIsPassedOver() throws {
    try disk.saveRun(1)
    try disk.device.backend.makeDirectory("/run/" + checkpointName(2, 2), permissions: 0o700)
    let recovery = try #require(try recover())
    #expect(recovery.generation == 1)
    #expect(recovery.skipped.map(\.reason.code) == [.notRegular])
  }

  @Test func aNameThatContradictsItsHeaderIsPassedOver() throws {
    try disk.saveRun(1, 2)
    try disk.put(checkpointName(9, 3), disk.contents(checkpointName(1, 1)))
    try disk.put("step-7.ckpt", disk.contents(checkpointName(1, 1)))
    let recovery = try #require(try recover())
    #expect(recovery.generation == 2)
    #expect(recovery.skipped.map(\.path) == ["/run/" + checkpointName(9, 3)])
    #expect(recovery.skipped[0].reason.message.contains("contradicts its header"))
    let verifier = Verifier(on: disk.device, threads: 1)
    #expect(verifier.verify("/run/" + checkpointName(9, 3)).isDamaged)
    #expect(verifier.verify("/run/step-7.ckpt").isDamaged)
    #expect(verifier.verify("/run/" + checkpointName(2, 2)).isIntact)
  }

  @Test func ifAllAreDamagedEveryReasonIsListed() throws {
    try disk.saveRun(1, 2, 3)
    for number in UInt64(1)...3 { try disk.damage(checkpointName(number, number)) }
    let error = #expect(throws: CheckpointError.self) { try recover() }
    #expect(error?.code == .noIntactCheckpoint)
    for number in UInt64(1)...3 {
      #expect(error?.message.contains(checkpointName(number, number)) == true)
    }
  }

  @Test func onlyQuarantinedCheckpointsAreNoFreshStart() throws {
    try disk.saveRun(1)
    try disk.put(checkpointName(1, 1) + ".damaged", disk.contents(checkpointName(1, 1)))
    try disk.remove(checkpointName(1, 1))
    let error = #expect(throws: CheckpointError.self) { try recover() }
    #expect(error?.code == .noIntactCheckpoint)
    #expect(error?.message.contains("set aside") == true)
  }

  @Test(arguments: [EIO, EACCES, ESTALE, EMFILE])
  func aNewerCheckpointThatCannotBeOpenedStopsTheSearch(errno: Int32) throws {
    try disk.saveRun(1, 2)
    let store = try disk.reader()
    // The listing opens the newest name last: names are listed in ascending order.
    disk.faultPlan = FaultPlan([.init(.open, occurrence: 1, .error(errno), .always)])
    let error = #expect(throws: CheckpointError.self) { try store.recover() }
    #expect(error?.code == .unreadable)
    #expect(error?.errno == errno)
    #expect(error?.location?.path == "/run/" + checkpointName(2, 2))
    #expect(error?.message.contains("name its step, generation or path") == true)
    disk.faultPlan = FaultPlan()
    #expect(try store.recover()?.generation == 2)
    #expect(try store.recover(.generation(1))?.generation == 1)
  }

  @Test func anUnreadablePartOfTheNewestStopsTheSearchAtAnyRead() throws {
    try disk.saveRun(1, 2)
    let store = try disk.reader()
    let start = disk.operationCount
    _ = try store.recover()
    let readCount = disk.operations[start...].count { $0.kind == .read }
    for occurrence in 0..<readCount {
      disk.faultPlan = FaultPlan([.init(.read, occurrence: occurrence, .error(EIO))])
      // Either the file that could not be read does not matter, or the search stops.
      var generation: UInt64?
      let code = errorCode { generation = try store.recover()?.generation }
      #expect(code == nil ? generation == 2 : code == .unreadable, "read \(occurrence)")
    }
  }

  @Test func aDirectoryThatCannotBeListedIsAnErrorAndNoFreshStart() throws {
    try disk.saveRun(1)
    let store = try disk.reader()
    disk.faultPlan = FaultPlan([.init(.list, .error(EIO), .always)])
    #expect(errorCode { _ = try store.recover() } == .unreadable)
    #expect(errorCode { _ = try disk.writer() } == .unreadable)
  }

  @Test func aNewerFormatStopsTheSearchAndADeliberateChoiceGoesOn() throws {
    try disk.saveRun(1, 2)
    let name = checkpointName(2, 2)
    disk.replace(name, with: try fromTheFuture(name))
    let error = #expect(throws: CheckpointError.self) { try recover() }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("999") == true)
    #expect(try recover(.generation(1))?.generation == 1)
    #expect(try recover(.step(1))?.step == 1)
  }

  @Test func aStepIsTakenFromItsNewestIntactGeneration() throws {
    try disk.saveRun(5, 6, 5, 5)
    #expect(try recover(.step(5))?.generation == 4)
    try disk.damage(checkpointName(5, 4))
    let recovery = try #require(try recover(.step(5)))
    #expect(recovery.generation == 3)
    #expect(recovery.skipped.count == 1)
    try disk.damage(checkpointName(6, 2))
    #expect(errorCode { _ = try recover(.step(6)) } == .noIntactCheckpoint)
    let error = #expect(throws: CheckpointError.self) { try recover(.step(77)) }
    #expect(error?.code == .notFound)
    #expect(error?.message.contains("step 6") == true)
    #expect(errorCode { _ = try recover(.generation(77)) } == .notFound)
  }

  @Test func aPlainNameIsACandidateOfItsHeadersGeneration() throws {
    try disk.saveRun(1, 2, 3)
    for (old, new) in [(3, "step-3.ckpt"), (2, "step-000000002.ckpt")] as [(UInt64, String)] {
      try disk.put(new, disk.contents(checkpointName(old, old)))
      try disk.remove(checkpointName(old, old))
    }
    #expect(try recover()?.generation == 3)
    #expect(try recover(.generation(2))?.reader.path == "/run/step-000000002.ckpt")
    #expect(try disk.writer().save(SampleState(9), step: 9).generation == 4)
  }

  @Test func aPlainNameThatCannotBeReadMightBeTheNewest() throws {
    try disk.saveRun(1)
    try disk.put("step-2.ckpt", [])
    let store = try disk.reader()
    // The second name in ascending order.
    disk.faultPlan = FaultPlan([.init(.open, occurrence: 1, .error(EACCES))])
    #expect(errorCode { _ = try store.recover() } == .unreadable)
    disk.faultPlan = FaultPlan()
    #expect(try store.recover()?.generation == 1)
  }

  @Test func readingChangesNothing() throws {
    try disk.saveRun(1, 2)
    try disk.put(".step-000000003.g000003.\(String(repeating: "a", count: 32)).tmp", [1])
    let start = disk.operationCount
    let store = try disk.reader()
    _ = try store.recover()
    _ = try store.entries()
    #expect(errorCode { _ = try store.save(SampleState(1), step: 1) } == .io)
    let changing: [DiskOperation.Kind] = [
      .write, .sync, .makeDirectory, .preallocate, .truncate, .setPermissions, .rename, .replace,
      .link,
      .unlink,
    ]
    #expect(!disk.operations[start...].contains { changing.contains($0.kind) })
  }
}
