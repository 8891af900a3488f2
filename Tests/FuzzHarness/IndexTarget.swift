internal import CheckpointFormat

extension FuzzTarget {
  /// Everything of a file behind its header, without the chunks.
  public static let index = FuzzTarget(
    name: "fuzz-index", test: IndexTarget.test, mutate: IndexTarget.mutate)
}

/// Front table, sections and trailer: each part that decodes is the only encoding of its meaning,
/// and fits the others.
enum IndexTarget {
  static func test(_ input: [UInt8]) throws -> UInt64 {
    let parts = IndexParts(input)
    var digest = Digest()
    digest.add(try checkFrontTable(parts))
    digest.add(try checkMetadata(parts[.metadata]))
    digest.add(try checkTables(parts))
    return digest.value
  }

  private static func checkFrontTable(_ parts: IndexParts) throws -> Int {
    let bytes = parts[.frontTable]
    do {
      let head = try FrontTable.decodeHead(bytes.rawSpan)
      let end = FrontTable.endOffset(tableByteCount: head.tableByteCount)
      try require(end > Layout.frontTableOffset, "a front table without length")
      return Int(end)
    } catch let error as FormatError {
      return error.description.utf8.count
    }
  }

  private static func checkMetadata(_ bytes: [UInt8]) throws -> Int {
    do {
      let metadata = try Metadata(decoding: bytes.rawSpan, at: 0, limits: .default)
      try require(metadata.encoded() == bytes, "metadata is not its own")
      return metadata.values.count
    } catch let error as FormatError {
      let strict = try? Metadata(decoding: bytes.rawSpan, at: 0, limits: .strict)
      try require(strict == nil, "strict limits accept metadata that the default ones refuse")
      return error.description.utf8.count
    }
  }

  /// The tables of which each is read by the one before.
  private static func checkTables(_ parts: IndexParts) throws -> UInt64 {
    var digest = Digest()
    do {
      let bytes = parts[.tensorTable]
      let table = try TensorTable(
        decoding: bytes.rawSpan, at: 0, grid: parts.grid, limits: .default)
      try require(table.encoded == bytes, "a tensor table is not its own")
      digest.add(table.chunkCount)
      digest.add(try checkNames(parts[.nameOrder], table))
      digest.add(try checkTrailer(parts, table))
    } catch let error as FormatError {
      digest.add(error)
      let strict = try? TensorTable(
        decoding: parts[.tensorTable].rawSpan, at: 0, grid: parts.grid, limits: .strict)
      try require(strict == nil, "strict limits accept a table that the default ones refuse")
    }
    return digest.value
  }

  private static func checkNames(_ bytes: [UInt8], _ table: TensorTable) throws -> Int {
    // Sorting has to say the same as the list that was read.
    let computed = try? NameOrder(of: table)
    do {
      let order = try NameOrder(decoding: bytes.rawSpan, at: 0, of: table)
      try require(order.encoded == bytes, "a name order is not its own")
      try require(order == computed, "a name order that is not the sorted one")
      for (number, entry) in table.entries.enumerated() {
        let name = entry.descriptor.name
        try require(order.tensor(named: name, in: table) == number, "'\(name)' is not found")
      }
      try require(order.tensor(named: "", in: table) == nil, "no tensor has no name")
      return order.order.count
    } catch let error as FormatError {
      try require(computed.map { $0.encoded != bytes } ?? true, "the right order is refused")
      return error.description.utf8.count
    }
  }

  private static func checkTrailer(_ parts: IndexParts, _ table: TensorTable) throws -> Int {
    let bytes = parts[.trailer]
    do {
      let trailer = try Trailer(
        decoding: bytes.rawSpan, fileByteCount: parts.statedFileByteCount,
        version: parts.formatVersion, limits: .default)
      try require(trailer.encoded == bytes, "a trailer is not its own")
      let region = try trailer.chunkRegion(
        frontTableByteCount: UInt64(parts[.tensorTable].count))
      let chunkBytes = parts[.chunkTable]
      let chunks = try ChunkTable(
        decoding: chunkBytes.rawSpan, at: 0, of: table, filling: region,
        version: parts.formatVersion)
      try require(chunks.encoded == chunkBytes, "a chunk table is not its own")
      try require(chunks.entries.count == table.chunkCount, "chunks are missing")
      let rawByteCount = chunks.entries.reduce(0) { $0 + UInt64($1.rawByteCount) }
      let expected = table.entries.reduce(0) { $0 + ($1.aliasOf == nil ? $1.byteCount : 0) }
      try require(rawByteCount == expected, "chunks do not hold what the tensors need")
      return chunks.entries.count
    } catch let error as FormatError {
      return error.description.utf8.count
    }
  }

  // MARK: Mutation

  static func mutate(_ input: inout [UInt8], _ source: inout MutationSource) {
    if source.chance(5) { return source.mutate(&input, atMost: source.byteCountMax) }
    var parts = IndexParts(input)
    if parts[.trailer].isEmpty || source.chance(1), let file = source.savedFile(),
      let intact = IndexParts(ofFile: file)
    {
      parts = intact
    }
    for _ in 0...source.below(2) {
      let part = source.pick(IndexParts.Part.allCases)
      if part == .trailer {
        // Its size is fixed, and its middle reserved.
        parts.fixTrailer()
        let place = source.pick([0..<192, 768..<808, 0..<Trailer.byteCount])
        source.mutate(place, of: &parts[.trailer])
      } else if source.chance(60) {
        let room = source.byteCountMax - input.count
        source.mutate(&parts[part], atMost: parts[part].count + max(0, min(room, 64)))
      } else {
        Mutation.mutate(&parts[part], isResizable: true, using: &source.generator)
      }
    }
    if source.chance(30) { parts.alignNames() }
    if source.chance(50) { parts.alignChunks(&source) }
    if source.chance(60) { parts.alignTrailer() }
    if source.chance(95) {
      parts.fixTrailer()
      parts[.trailer].seal(at: Trailer.checksumOffset, as: parts.formatVersion)
    }
    input = parts.encoded
  }
}

/// The parts of an index, one behind the other, with their lengths in front.
struct IndexParts {
  /// Of the front table only the head: its table is compared with the section byte for byte.
  enum Part: Int, CaseIterable {
    case frontTable, tensorTable, nameOrder, chunkTable, metadata, trailer
  }

  static let chunkByteCounts = [64, 128, 4096, 1 << 20, 64 << 20]

  var formatVersion: FormatVersion
  var gridNumber: Int
  var contents: [[UInt8]]

  init(_ input: [UInt8]) {
    var source = ByteSource(input)
    let first = Int(source.uint8())
    formatVersion = first & 0x80 == 0 ? .v1 : .v2
    gridNumber = first & 0x7f % Self.chunkByteCounts.count
    let counts = Part.allCases.map { _ in Int(source.uint16()) }
    contents = counts.map { source.bytes(atMost: $0) }
  }

  var grid: ChunkGrid { ChunkGrid(chunkByteCount: Self.chunkByteCounts[gridNumber]) }

  subscript(part: Part) -> [UInt8] {
    get { contents[part.rawValue] }
    set { contents[part.rawValue] = newValue }
  }

  var encoded: [UInt8] {
    [UInt8(gridNumber) | (formatVersion == .v1 ? 0 : 0x80)]
      + contents.flatMap { littleEndian(UInt16(clamping: $0.count)) }
      + contents.joined()
  }

  /// The file's length as the trailer has it, so that this check does not hide the others.
  var statedFileByteCount: UInt64 {
    let trailer = self[.trailer]
    guard trailer.count == Trailer.byteCount else { return UInt64(Trailer.byteCount) }
    return EditableFile(trailer).load(776, 8)
  }

  /// Brings the trailer to its size and gives it its magic number.
  mutating func fixTrailer() {
    var trailer = ByteSource(self[.trailer]).bytesCopy(exactly: Trailer.byteCount)
    trailer.overwrite(at: Trailer.byteCount - Trailer.magic.count, with: Trailer.magic)
    self[.trailer] = trailer
  }

  private var tensors: TensorTable? {
    try? TensorTable(decoding: self[.tensorTable].rawSpan, at: 0, grid: grid, limits: .default)
  }

  /// Writes the name order that the tensor table asks for.
  mutating func alignNames() {
    guard let table = tensors, let order = try? NameOrder(of: table) else { return }
    self[.nameOrder] = order.encoded
  }

  /// Writes a chunk table that the tensor table allows.
  mutating func alignChunks(_ source: inout MutationSource) {
    guard let table = tensors, table.chunkCount <= 16 else { return }
    var chunks = ChunkTable()
    var offset = FrontTable.endOffset(tableByteCount: UInt64(self[.tensorTable].count))
    for (number, entry) in table.entries.enumerated() where entry.aliasOf == nil {
      for chunk in 0..<entry.chunkCount {
        let rawByteCount = grid.rawByteCount(chunk: chunk, of: entry.byteCount)
        let isEncoded = rawByteCount > 1 && source.chance(50)
        let checksum = UInt32.random(in: 0...UInt32.max, using: &source.generator)
        let row = ChunkEntry(
          frameOffset: offset, tensor: UInt32(number), chunk: UInt32(chunk),
          rawByteCount: UInt32(rawByteCount),
          storedByteCount: UInt32(isEncoded ? 1 + source.below(rawByteCount - 1) : rawByteCount),
          storedChecksum: checksum, rawChecksum: isEncoded ? ~checksum : checksum,
          codec: isEncoded ? formatVersion.codec : .stored)
        chunks.append(row)
        offset = row.endOffset
      }
    }
    self[.chunkTable] = chunks.encoded
  }

  /// Writes front table and trailer so that they fit the parts, apart from checksums of sections.
  mutating func alignTrailer() {
    let rows = EditableFile(self[.chunkTable])
    let rowCount = rows.bytes.count / ChunkTable.entryByteCount
    var offset = FrontTable.endOffset(tableByteCount: UInt64(self[.tensorTable].count))
    if rowCount > 0 {
      let last = (rowCount - 1) * ChunkTable.entryByteCount
      let end = rows.load(last, 8).addingReportingOverflow(
        Layout.frameStride(storedByteCount: Int(rows.load(last + 20, 4))))
      if !end.overflow, end.partialValue < 1 << 62 { offset = end.partialValue }
    }
    let kinds: [(SectionKind, Part)] = [
      (.tensorTable, .tensorTable), (.nameOrder, .nameOrder), (.chunkTable, .chunkTable),
      (.metadata, .metadata),
    ]
    var sections: [Section] = []
    for (kind, part) in kinds {
      sections.append(
        Section(
          kind: kind, offset: Layout.aligned(offset), byteCount: UInt64(self[part].count),
          checksum: formatVersion.checksum(self[part].rawSpan)))
      offset = sections[sections.count - 1].endOffset
    }
    let header = CheckpointHeader.blank(formatVersion: formatVersion)
    let front = FrontTable.encoded(self[.tensorTable], in: header)
    self[.frontTable] = Array(front.bytes.prefix(FrontTable.headByteCount))
    self[.trailer] =
      Trailer(
        of: header, sections: sections,
        fileByteCount: Layout.fileByteCount(sectionsEnd: offset), headerChecksum: 3,
        frontTableChecksum: front.checksum
      ).encoded
  }
}

extension ByteSource {
  fileprivate func bytesCopy(exactly count: Int) -> [UInt8] {
    var copy = self
    return copy.bytes(exactly: count)
  }
}
