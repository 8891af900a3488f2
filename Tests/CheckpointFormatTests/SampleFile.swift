import CheckpointFormat
import FuzzHarness

/// A tensor as tests write it: one stored form per chunk.
struct SampleTensor {
  var descriptor: TensorDescriptor
  var aliasOf: Int?
  var bytes: [UInt8] = []
  /// What the version's codec makes of chunks; the others are stored as they are.
  var encoded: [Int: [UInt8]] = [:]
}

/// A whole file put together from the parts, as small as a writer can be.
struct SampleFile {
  var header: CheckpointHeader
  var tensors: TensorTable
  var nameOrder: NameOrder
  var chunks = ChunkTable()
  var metadata: Metadata
  var trailer: Trailer
  var bytes: [UInt8]

  /// Where frames begin and end.
  var chunkRegion: Range<UInt64>

  init(
    header: CheckpointHeader, tensors list: [SampleTensor], metadata: Metadata
  ) throws(FormatError) {
    self.header = header
    self.metadata = metadata
    tensors = TensorTable(grid: ChunkGrid(chunkByteCount: header.chunkByteCount))
    for tensor in list { try tensors.append(tensor.descriptor, aliasOf: tensor.aliasOf) }
    nameOrder = try NameOrder(of: tensors)

    var writer = ByteWriter()
    let headerBytes = header.encoded
    writer.append(contentsOf: headerBytes)
    let (front, frontChecksum) = FrontTable.encoded(tensors.encoded, in: header)
    writer.append(contentsOf: front)
    let chunkStart = UInt64(writer.byteCount)
    Self.appendChunks(of: list, tensors: tensors, header: header, to: &writer, table: &chunks)
    chunkRegion = chunkStart..<UInt64(writer.byteCount)

    let sections = Self.appendSections(
      [
        (.tensorTable, tensors.encoded), (.nameOrder, nameOrder.encoded),
        (.chunkTable, chunks.encoded), (.metadata, try metadata.encoded()),
      ], header.formatVersion, to: &writer)
    let fileByteCount = Layout.fileByteCount(sectionsEnd: UInt64(writer.byteCount))
    trailer = Trailer(
      of: header, sections: sections, fileByteCount: fileByteCount,
      headerChecksum: header.formatVersion.checksum(
        headerBytes.rawSpan.extracting(0..<CheckpointHeader.checksumOffset)),
      frontTableChecksum: frontChecksum)
    writer.pad(to: Int(fileByteCount) - Trailer.byteCount)
    writer.append(contentsOf: trailer.encoded)
    bytes = writer.bytes
  }

  private static func appendSections(
    _ contents: [(SectionKind, [UInt8])], _ version: FormatVersion, to writer: inout ByteWriter
  ) -> [Section] {
    var sections: [Section] = []
    for (kind, content) in contents {
      writer.align(to: Int(Layout.alignment))
      sections.append(
        Section(
          kind: kind, offset: UInt64(writer.byteCount), byteCount: UInt64(content.count),
          checksum: version.checksum(content.rawSpan)))
      writer.append(contentsOf: content)
    }
    return sections
  }

  private static func appendChunks(
    of list: [SampleTensor], tensors: TensorTable, header: CheckpointHeader,
    to writer: inout ByteWriter, table: inout ChunkTable
  ) {
    for (number, tensor) in list.enumerated() where tensor.aliasOf == nil {
      let entry = tensors.entries[number]
      for chunk in 0..<entry.chunkCount {
        let start = chunk * tensors.grid.chunkByteCount
        let count = tensors.grid.rawByteCount(chunk: chunk, of: entry.byteCount)
        let raw = Array(tensor.bytes[start..<start + count])
        let stored = tensor.encoded[chunk] ?? raw
        let identity = ChunkIdentity(
          in: header, tensor: UInt32(number), chunk: UInt32(chunk),
          rawByteCount: UInt32(count))
        let row = ChunkEntry(
          frameOffset: UInt64(writer.byteCount), tensor: identity.tensor, chunk: identity.chunk,
          rawByteCount: identity.rawByteCount, storedByteCount: UInt32(stored.count),
          storedChecksum: identity.checksum(of: stored.rawSpan),
          rawChecksum: identity.checksum(of: raw.rawSpan),
          codec: tensor.encoded[chunk] == nil ? .stored : header.formatVersion.codec)
        table.append(row)
        let frame = row.frame(in: header)
        writer.append(contentsOf: frame.encoded)
        writer.append(contentsOf: stored)
        writer.align(to: Int(Layout.alignment))
      }
    }
  }

  /// The bytes of a section.
  func section(_ kind: SectionKind) -> [UInt8] {
    let section = trailer.section(kind)
    return Array(bytes[Int(section.offset)..<Int(section.endOffset)])
  }
}

extension SampleFile {
  /// A file without tensors and metadata.
  static func empty(_ version: FormatVersion = .current) throws(FormatError) -> SampleFile {
    let header = CheckpointHeader(
      generation: 1, saveIdentifier: identifier(from: 0x10),
      checkpointIdentifier: identifier(from: 0x20), runIdentifier: identifier(from: 0x30),
      parentIdentifier: nil, step: 0, savedAt: 0, supersededGeneration: 0,
      chunkByteCount: 1 << 20, writer: "", branchPoints: [], formatVersion: version)
    return try SampleFile(header: header, tensors: [], metadata: Metadata())
  }

  /// Five tensors of every sort in chunks of 64 bytes, and metadata of every domain.
  static func tiny(_ version: FormatVersion = .current) throws(FormatError) -> SampleFile {
    let header = CheckpointHeader(
      generation: 7, saveIdentifier: identifier(from: 0x10),
      checkpointIdentifier: identifier(from: 0x20), runIdentifier: identifier(from: 0x30),
      parentIdentifier: identifier(from: 0x40), step: 500, savedAt: 1_700_000_000_000_000_000,
      supersededGeneration: 3, chunkByteCount: 64, writer: "example 1.0",
      branchPoints: [.init(generation: 2, step: 100, identifier: identifier(from: 0x50))],
      formatVersion: version)
    let weights: [Float] = [1, 2, 3, 4, 5, 6]
    let tensors = [
      SampleTensor(
        descriptor: TensorDescriptor(name: "w", dtype: .float32, shape: [2, 3]),
        bytes: weights.flatMap { littleEndian($0.bitPattern) }),
      SampleTensor(
        descriptor: TensorDescriptor(name: "m", dtype: .uint8, shape: [96]),
        bytes: [UInt8](repeating: 0, count: 64) + (0..<32).map { UInt8($0) },
        // A DEFLATE stream of 64 zeros; or one plane that is constant.
        encoded: [
          0: version == .v1
            ? [0x63, 0x60, 0xA0, 0x0C, 0x00, 0x00] : [1, 0, 0, 0, 1, 0, 0, 0, 0]
        ]),
      SampleTensor(
        descriptor: TensorDescriptor(name: "flag", dtype: .bool, shape: []), bytes: [1]),
      SampleTensor(descriptor: TensorDescriptor(name: "none", dtype: .float64, shape: [0, 4])),
      SampleTensor(
        descriptor: TensorDescriptor(name: "tied", dtype: .float32, shape: [2, 3]), aliasOf: 0),
    ]
    var metadata = Metadata()
    metadata[.state, "lr"] = .float64(0.5)
    metadata[.state, "shuffled"] = .bool(true)
    metadata[.metric, "loss"] = .float64(2.25)
    metadata[.environment, "host"] = .string("a")
    metadata[.stateVersion, ""] = .int64(1)
    return try SampleFile(header: header, tensors: tensors, metadata: metadata)
  }
}
