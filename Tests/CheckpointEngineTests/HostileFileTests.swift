import CheckpointCodecs
import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: whatever a file says, reading it ends with an error or with bytes; it never traps, hangs or
// asks for memory that the machine does not have.
// Method: fields are changed at random and every checksum made right again, so that the change gets
// as far into the reader as it can.
@Suite struct HostileFileTests {
  @Test(arguments: [
    "v1/smallest", "v1/values", "v1/equivalent-names", "v1/lineage", "v2/smallest", "v2/values",
  ])
  func resealedFilesNeverTrapTheReader(name: String) throws {
    let intact = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/\(name).ckpt"))
    var openedCount = 0
    for seed in UInt64(0)..<2500 {
      var generator = SeededGenerator(seed)
      var edited = EditableFile(intact)
      for _ in 0...generator.below(3) {
        Mutation.mutateField(of: &edited, using: &generator)
      }
      edited.reseal()
      if try FileTarget.check(edited.bytes).isOpen { openedCount += 1 }
    }
    // If nothing were opened, only the first checks would have been tried.
    #expect(openedCount > 50, "\(openedCount)")
  }

  @Test func resealingChangesNothingInAnIntactFile() throws {
    let names = ["smallest", "chunks", "dtypes", "empty"].flatMap { ["v1/\($0)", "v2/\($0)"] }
    for name in names {
      let intact = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/\(name).ckpt"))
      var file = EditableFile(intact)
      file.reseal()
      #expect(file.bytes == intact)
    }
  }

  @Test func aChunkThatClaimsMoreThanItCanDecodeToIsRefused() throws {
    var state = SampleState()
    state.add("zeros", .uint8, [1 << 20], [UInt8](repeating: 0, count: 1 << 20))
    let disk = SimulatedDisk()
    try disk.writer(1 << 20, formatVersion: .v1).save(state, step: 1)
    var edited = EditableFile(try disk.contents(checkpointName(1, 1)))
    let file = FileInMemory(edited.bytes)
    let reader = try file.open()
    let entry = reader.index.chunks.entries[0]
    #expect(
      UInt64(entry.rawByteCount)
        <= ChunkDecoder.rawByteCountMax(
          storedByteCount: entry.storedByteCount, codec: .deflate))

    // A tensor of 64 MiB in one chunk of a few hundred bytes.
    edited.store(64 << 20, 4, at: 136)
    let table = try #require(edited.section(0))
    edited.store(64 << 20, 8, at: table.lowerBound + 8 + TensorTable.recordByteCount)
    let row = try #require(edited.section(2)).lowerBound
    edited.store(64 << 20, 4, at: row + 16)
    edited.reseal()
    file.contents = edited.bytes
    let error = #expect(throws: CheckpointError.self) { try file.open() }
    #expect(error?.code == .corrupted)
    #expect(error?.message.contains("cannot decode") == true)
  }

  /// A file of two megabytes that claims a terabyte, by chunks of one constant plane.
  @Test func aTensorThatNoMachineHasMemoryForIsAnErrorAndNotATrap() throws {
    let chunkByteCount = Limits.default.chunkByteCountMax
    let chunkCount = 16_384
    let header = CheckpointHeader.blank(chunkByteCount: chunkByteCount)
    var tensors = TensorTable(grid: ChunkGrid(chunkByteCount: chunkByteCount))
    try tensors.append(
      TensorDescriptor(name: "claim", dtype: .uint8, shape: [chunkCount * chunkByteCount]))
    var chunks = ChunkTable()
    let stored: [UInt8] = [1, 0, 0, 0, 1, 0, 0, 0, 0]
    var offset = FrontTable.endOffset(tableByteCount: UInt64(tensors.encoded.count))
    for number in 0..<chunkCount {
      var entry = ChunkEntry(
        frameOffset: offset, tensor: 0, chunk: UInt32(number),
        rawByteCount: UInt32(chunkByteCount), storedByteCount: UInt32(stored.count),
        storedChecksum: 0, rawChecksum: 0, codec: .planes)
      entry.storedChecksum = entry.identity(in: header).checksum(of: stored.rawSpan)
      offset = entry.endOffset
      chunks.append(entry)
    }
    let bytes = try FileAssembly(header: header, tensors: tensors, chunks: chunks)
      .bytes { _ in stored }
    #expect(bytes.count < 4 << 20)
    let reader = try FileInMemory(bytes).open()
    #expect(errorCode { _ = try reader.read("claim") } == .overLimit)
  }

  /// A faulty encoder: the stored bytes are as they were written, and decode to something else.
  @Test func aStreamThatDecodesToOtherBytesIsReported() throws {
    let intact = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/v1/chunks.ckpt"))
    let file = FileInMemory(intact)
    let index = try file.open().index
    let text = try file.open().read("text")
    let number = try #require(
      index.chunks.entries.firstIndex {
        index.tensors.entries[Int($0.tensor)].descriptor.name == "text"
      })
    let entry = index.chunks.entries[number]
    var wrongCount = 0
    for bit in 0..<Int(entry.storedByteCount) * 8 {
      var edited = EditableFile(intact)
      edited.bytes[Int(entry.storedOffset) + bit / 8] ^= 1 << (bit % 8)
      let place = Int(entry.storedOffset)..<Int(entry.storedOffset) + Int(entry.storedByteCount)
      var changed = entry
      changed.storedChecksum = entry.identity(in: index.header)
        .checksum(of: edited.bytes.rawSpan.extracting(place))
      let frame = changed.frame(in: index.header)
      edited.bytes.replaceSubrange(
        Int(entry.frameOffset)..<Int(entry.storedOffset), with: frame.encoded)
      let row = try #require(edited.section(2)).lowerBound + number * ChunkTable.entryByteCount
      edited.store(UInt64(changed.storedChecksum), 4, at: row + 24)
      edited.reseal()
      file.contents = edited.bytes
      let reader = try file.open()
      #expect(reader.verify(.stored).isIntact)
      let findings = reader.verify(.full).findings
      // The unused bits behind the end of a stream change nothing.
      let isSame = (try? reader.read("text")) == text
      #expect(isSame == findings.isEmpty)
      #expect(isSame || errorCode { _ = try reader.read("text") } == .corrupted)
      if findings.first?.message.contains("decoded chunk differs") == true { wrongCount += 1 }
    }
    // Some streams stay well formed; only the checksum of what they decode to tells.
    #expect(wrongCount > 10)
  }

  @Test func noiseIsNoCheckpoint() {
    let file = FileInMemory()
    var generator = SeededGenerator(8)
    for count in 0..<300 {
      file.contents = (0..<count * 41).map { _ in generator.byte() }
      #expect(errorCode { _ = try file.open() } == .corrupted)
      file.contents = FileStart.magic + file.contents
      #expect(errorCode { _ = try file.open() } == .corrupted)
    }
  }
}
