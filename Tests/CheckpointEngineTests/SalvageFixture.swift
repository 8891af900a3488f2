import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

/// A file with every kind of record that is damaged and salvaged, and the parts that it has.
struct SalvageFixture {
  let version: FormatVersion
  let intact: [UInt8]
  let index: FileIndex
  let state = ReferenceFile.state()

  init(_ version: FormatVersion) throws {
    self.version = version
    intact = try ReferenceFile.bytes(version)
    index = try FileInMemory(intact).open().index
  }

  var chunks: [ChunkEntry] { index.chunks.entries }
  var trailer: Range<Int> { intact.count - Trailer.byteCount..<intact.count }
  var frontTable: Range<Int> {
    4096..<4096 + FrontTable.headByteCount + index.tensors.encoded.count
  }

  func section(_ kind: SectionKind) -> Range<Int> {
    let section = index.trailer.section(kind)
    return Int(section.offset)..<Int(section.endOffset)
  }

  /// The parts that describe the tensors and chunks, by name.
  var parts: [(name: String, range: Range<Int>)] {
    [
      ("file start", 0..<64), ("rest of the header", 64..<4096), ("header", 0..<4096),
      ("front table", frontTable), ("tensor table", section(.tensorTable)),
      ("name order", section(.nameOrder)), ("chunk table", section(.chunkTable)),
      ("metadata", section(.metadata)), ("trailer", trailer),
      ("frames", 0..<0),  // all of them
    ]
  }

  /// The file with a part overwritten; every frame for the part of that name.
  func damaging(_ names: [String], with byte: UInt8 = 0) -> [UInt8] {
    var bytes = intact
    for (name, range) in parts where names.contains(name) {
      let ranges =
        name == "frames"
        ? chunks.map { Int($0.frameOffset)..<Int($0.storedOffset) } : [range]
      for range in ranges { bytes.overwrite(at: range.lowerBound, with: range.map { _ in byte }) }
    }
    return bytes
  }

  func stored(_ entry: ChunkEntry) -> Range<Int> {
    let start = Int(entry.storedOffset)
    return start..<start + Int(entry.storedByteCount)
  }

  /// The tensors that have lost none of the chunks of these numbers, with their names for it.
  func tensors(without lost: Set<Int>) -> [SampleState.Tensor] {
    state.tensors.filter { tensor in
      let entry = index.tensors.entries.first { $0.isNamed(tensor.descriptor.name) }
      guard let entry else { return false }
      return lost.isDisjoint(with: entry.firstChunk..<entry.firstChunk + entry.chunkCount)
    }
  }

  /// Salvages a file of these bytes on a disk of its own; nil if there is nothing of a checkpoint.
  func salvage(
    _ bytes: [UInt8], threads: Int = 1, name: String = "damaged",
    on disk: SimulatedDisk = SimulatedDisk(),
    prepare: (SimulatedDisk) -> Void = { _ in }
  ) throws -> (report: SalvageReport, reader: CheckpointReader?)? {
    let backend = disk.device.backend
    let directory = try backend.openDirectory("/")
    defer { try? backend.close(directory) }
    let file = try backend.open(name, in: directory, for: .creating(permissions: 0o600))
    try backend.writeAll(file, bytes.rawSpan, at: 0)
    try backend.close(file)
    prepare(disk)
    let report: SalvageReport
    do {
      report = try Salvager(on: disk.device, threads: threads).salvage("/" + name, to: "/rescued")
    } catch let error as CheckpointError where error.code == .corrupted {
      #expect(disk.contents(ofFileAt: "/rescued") == nil)
      return nil
    }
    #expect(disk.contents(ofFileAt: "/" + name) == bytes, "the damaged file is only read")
    guard report.target != nil else { return (report, nil) }
    return (report, try CheckpointReader.open(path: "/rescued", on: disk.device, threads: 1))
  }

  /// Requires that the new file is intact and holds these tensors, bit for bit, and no others.
  func requireRecovered(
    _ tensors: [SampleState.Tensor], _ result: (report: SalvageReport, reader: CheckpointReader?)?,
    _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let reader = try #require(result?.reader, comment, sourceLocation: sourceLocation)
    try #require(reader.verify(.full).isIntact, comment, sourceLocation: sourceLocation)
    try #require(
      reader.tensors == tensors.map(\.descriptor), comment, sourceLocation: sourceLocation)
    for tensor in tensors {
      try #require(
        try reader.read(tensor.descriptor.name) == tensor.bytes, comment,
        sourceLocation: sourceLocation)
    }
    let recovered = result?.report.tensors.filter(\.isRecovered).map(\.descriptor)
    try #require(
      recovered == tensors.map(\.descriptor), comment, sourceLocation: sourceLocation)
  }
}
