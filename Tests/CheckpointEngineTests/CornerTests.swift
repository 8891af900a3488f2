import CheckpointCodecs
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

// Goal: the answers that only rare circumstances call for are right as well.
// Method: what .ci/coverage showed that no other suite enters.
@Suite struct CornerTests {
  private let disk = SimulatedDisk()

  // MARK: Reading

  @Test func namesOfMarkersAndOfFilesSetAsideAreParsedAndWritten() throws {
    let identifier = Identifier(high: 1, low: 2)
    #expect(CheckpointName.pin(identifier).generation == nil)
    #expect(CheckpointName(".pin-123") == nil)
    #expect(CheckpointName("step-1x.g000001.ckpt.damaged") == nil)
    let names: [CheckpointName] = [
      .damaged(step: 5, generation: 6), .damaged(step: 5, generation: nil),
      .emergency(step: 5, generation: 6),
      .checkpoint(step: 5, generation: nil), .pin(identifier),
    ]
    for name in names { #expect(CheckpointName(name.text) == name) }
    #expect(names[2].text == "step-000000005.g000006.ckpt.emergency")
    #expect(CheckpointName("step-000000005.ckpt.emergency") == nil)
    #expect(names[3].text == "step-000000005.ckpt")
  }

  @Test func aPathIsSplitAtItsLastName() {
    #expect(StoreDirectory.split("a") == (".", "a"))
    #expect(StoreDirectory.split("a/b//") == ("a", "b"))
    #expect(StoreDirectory.split("/") == ("/", ""))
  }

  @Test func aDeviceIsNoRegularFile() {
    #expect(CheckpointError.readingCode(ENXIO).0 == .notRegular)
  }

  @Test func whatCannotBeDecodedIsMalformed() {
    let bytes: [UInt8] = [1, 2, 3]
    for codec in [CodecIdentifier.stored, CodecIdentifier(rawValue: 9)] {
      let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
      defer { unsafe output.deallocate() }
      #expect(throws: CheckpointCodecs.DecodingError.self) {
        // SAFETY: the buffer lives until the end of this turn.
        unsafe try ChunkDecoder().decode(bytes.rawSpan, codec: codec, into: output)
      }
    }
  }

  @Test func aFileThatShrinksWhileItIsOpenIsIncomplete() throws {
    let intact = try ReferenceFile.bytes(.current)
    let file = FileInMemory(intact)
    let reader = try file.open()
    file.contents = Array(intact[..<5000])
    let error = #expect(throws: CheckpointError.self) { try reader.read("symbols") }
    #expect(error?.code == .corrupted)
    #expect(error?.message.contains("The file ends where") == true)
    #expect(reader.verify(.full).isDamaged)
  }

  @Test func ofVeryManyFindingsTheFirstOfEachKindIsKept() throws {
    var state = SampleState()
    state.add("a", .uint8, [64 * 1100], (0..<64 * 1100).map { UInt8(truncatingIfNeeded: $0 * 7) })
    let store = try CheckpointStore(
      "/run", for: .writing, options: options(on: disk, compression: .none))
    let path = try store.save(state, step: 1).path
    let chunks = try CheckpointReader.open(path: path, on: disk.device).index.chunks.entries
    var bytes = try disk.contents(checkpointName(1, 1))
    for chunk in chunks { bytes[Int(chunk.storedOffset)] ^= 1 }
    disk.replace(checkpointName(1, 1), with: bytes)
    let last = Int(chunks[1099].storedOffset)
    disk.makeUnreadable(fileAt: path, range: last..<last + 1)
    let report = Verifier(on: disk.device).verify(path)
    #expect(report.findings.count == 1001 && report.omittedFindingCount == 99)
    #expect(report.findings.last?.code == .unreadable)
    #expect(report.isDamaged && report.isUnreadable)
  }

  @Test func aPathThatLeadsToNoStoreStandsForItself() throws {
    let verifier = Verifier(on: disk.device)
    #expect(try verifier.files(at: "/nowhere/model.bin") == ["/nowhere/model.bin"])
    #expect(try verifier.files(at: "/step-000000001.ckpt") == ["/step-000000001.ckpt"])
    #expect(verifier.verify("/nowhere/model.bin").isUnreadable)
  }

  @Test func aCheckpointThatVanishesDuringTheSearchIsNoError() throws {
    try disk.saveRun(1, 2)
    let store = try disk.reader()
    let start = disk.operationCount
    _ = try store.recover()
    let openCount = disk.operations[start...].count { $0.kind == .open }
    #expect(openCount >= 3)
    for occurrence in 0..<openCount {
      disk.faultPlan = FaultPlan([.init(.open, occurrence: occurrence, .error(ENOENT))])
      let generation = try #require(try store.recover()).generation
      #expect((1...2).contains(generation), "open \(occurrence)")
    }
  }

  // MARK: Writing

  @Test func anIndexThatReadersRefuseIsNotSaved() throws {
    var small = options(on: disk)
    small.limits.indexByteCountMax = 100
    let store = try CheckpointStore("/run", for: .writing, options: small)
    #expect(errorCode { try store.save(SampleState(1), step: 1) } == .overLimit)
    #expect(disk.storeNames == [".lock"])
  }

  @Test func aDirectoryThatSomebodyElseMakesMeanwhileIsUsed() throws {
    disk.faultPlan = FaultPlan([.init(.makeDirectory, .errorAfterEffect(EEXIST))])
    let path = "/somewhere/new"
    let store = try CheckpointStore(path, for: .writing, options: options(on: disk))
    try store.save(SampleState(1), step: 1)
    disk.crash()
    for survivor in disk.postCrashStates() {
      let store = try CheckpointStore(path, for: .reading, options: options(on: survivor))
      #expect(try store.recover()?.step == 1)
    }
  }

  @Test func aWriterWithoutANumberIsStillTold() throws {
    try withExtendedLifetime(disk.writer()) {
      disk.faultPlan = FaultPlan([.init(.read, .error(EIO), .always)])
      let error = #expect(throws: CheckpointError.self) { try disk.writer() }
      #expect(error?.code == .busy)
      #expect(error?.message.contains("another process") == true)
    }
  }

  @Test func permissionsThatCannotBeSetFailTheSave() throws {
    let store = try CheckpointStore(
      "/run", for: .writing, options: options(on: disk, permissions: .inherit))
    disk.faultPlan = FaultPlan([.init(.setPermissions, .error(EPERM))])
    #expect(errorCode { try store.save(SampleState(1), step: 1) } == .io)
    #expect(disk.temporaryNames.isEmpty && disk.checkpointNames.isEmpty)
    try store.save(SampleState(2), step: 2)
  }

  @Test func aFileThatSomebodyElseWritesToIsNotPublished() throws {
    let store = try disk.writer()
    let state = SampleState(1)
    let code = errorCode {
      _ = try store.save(state.plan(), step: 1) { sink in
        for tensor in state.tensors { try sink.append(tensor.bytes.rawSpan) }
        let longer = [UInt8](repeating: 0, count: 1 << 20)
        for name in disk.temporaryNames { disk.replace(name, with: longer) }
      }
    }
    #expect(code == .io)
    #expect(disk.temporaryNames.isEmpty && disk.checkpointNames.isEmpty)
  }

  @Test func aFullDiskEndsASaveThatIsFilledOnDemand() throws {
    let store = try disk.writer(4096)
    var plan = SavePlan()
    try plan.append(TensorDescriptor(name: "a", dtype: .uint8, shape: [16 << 20]))
    disk.faultPlan = FaultPlan([.init(.write, occurrence: 1, .error(ENOSPC), .always)])
    let code = errorCode {
      // SAFETY: the buffer is left as it is.
      _ = try store.save(plan, step: 1) { sink in
        unsafe try sink.fill(plan.byteCount) { _, _ in }
      }
    }
    #expect(code == .outOfSpace)
    #expect(disk.temporaryNames.isEmpty && disk.checkpointNames.isEmpty)
  }

  // MARK: Retention

  @Test func nothingGoesWhileTwoFilesBearOneGeneration() throws {
    let store = try disk.writer()
    for number in UInt64(1)...3 { try store.save(SampleState(number), step: number) }
    // The same header but for its save identifier and its checkpoint identifier.
    var twin = EditableFile(try disk.contents(checkpointName(2, 2)))
    twin.bytes[40] ^= 1
    twin.bytes[64] ^= 1
    twin.reseal()
    try disk.put("step-000000002.ckpt", twin.bytes)
    let names = disk.checkpointNames
    let report = store.retain(last: 1)
    #expect(report.removed.isEmpty && report.warnings.count == 1)
    #expect(disk.checkpointNames == names)
  }

  @Test func aFileUnderAWrongNameNeitherCountsNorGoes() throws {
    let store = try disk.writer()
    for number in UInt64(1)...3 { try store.save(SampleState(number), step: number) }
    try disk.put(checkpointName(9, 9), disk.contents(checkpointName(2, 2)))
    let report = store.retain(last: 2)
    #expect(report.removed == ["/run/" + checkpointName(1, 1)])
    #expect(disk.checkpointNames.contains(checkpointName(9, 9)))
  }
}
