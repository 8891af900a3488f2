import CheckpointFormat
import FuzzHarness
import Testing

/// A part of a file together with its checksum, so that every part can be damaged alike.
///
/// Sections carry their checksum at their end, as the trailer would hold it.
struct SealedPart: Sendable, CustomTestStringConvertible {
  var testDescription: String
  /// The intact bytes.
  var bytes: [UInt8]
  /// Whether bytes can be inserted and removed without any decoder noticing by length alone.
  var isResizable = false
  /// Makes the checksum fit the bytes again.
  var reseal: @Sendable (inout [UInt8]) -> Void
  /// Checks the checksum, decodes, and encodes again.
  var reencode: @Sendable ([UInt8]) throws(FormatError) -> [UInt8]

  /// What decoding says to other bytes in the place of the intact ones.
  func refusal(of bytes: [UInt8]) -> FormatError? {
    failure { () throws(FormatError) in try reencode(bytes) }
  }
}

extension SealedPart {
  static func all() throws(FormatError) -> [SealedPart] {
    let file = try SampleFile.tiny()
    return [
      fileStart(file), header(file), frontTable(file), tensorTable(file), nameOrder(file),
      chunkTable(file), metadata(file), trailer(file),
    ]
  }

  static func fileStart(_ file: SampleFile) -> SealedPart {
    SealedPart(
      testDescription: "file start", bytes: Array(file.bytes[..<FileStart.byteCount])
    ) {
      $0.seal(at: FileStart.checksumOffset, as: .v1)
    } reencode: { (bytes) throws(FormatError) in
      try FileStart(decoding: bytes.rawSpan).encoded
    }
  }

  static func header(_ file: SampleFile) -> SealedPart {
    SealedPart(
      testDescription: "header", bytes: Array(file.bytes[..<CheckpointHeader.byteCount])
    ) {
      $0.seal(at: FileStart.checksumOffset, as: .v1)
      $0.seal(at: CheckpointHeader.checksumOffset)
    } reencode: { (bytes) throws(FormatError) in
      try CheckpointHeader(decoding: bytes.rawSpan, limits: .default).encoded
    }
  }

  static func frontTable(_ file: SampleFile) -> SealedPart {
    let (bytes, _) = FrontTable.encoded(file.tensors.encoded, in: file.header)
    return SealedPart(testDescription: "front table", bytes: bytes, isResizable: true) {
      $0.sealFrontTable()
    } reencode: { (bytes) throws(FormatError) in
      try checkedFrontTable(bytes, of: file.header)
    }
  }

  /// Reads a front table as a reader does: head, checksum, table, padding.
  private static func checkedFrontTable(
    _ bytes: [UInt8], of header: CheckpointHeader
  ) throws(FormatError) -> [UInt8] {
    let base = Layout.frontTableOffset
    let head = try FrontTable.decodeHead(bytes.rawSpan)
    let end = FrontTable.endOffset(tableByteCount: head.tableByteCount)
    guard end - base <= UInt64(bytes.count) else {
      throw FormatError(.truncated(needed: end - base), at: base)
    }
    let tableEnd = FrontTable.headByteCount + Int(head.tableByteCount)
    let computed = header.formatVersion.checksum(bytes.rawSpan.extracting(8..<tableEnd))
    guard head.checksum == computed else {
      throw FormatError(
        .checksumMismatch(.frontTable, stored: head.checksum, computed: computed), at: base + 4)
    }
    let table = try TensorTable(
      decoding: bytes.rawSpan.extracting(FrontTable.headByteCount..<tableEnd),
      at: base + UInt64(FrontTable.headByteCount),
      grid: ChunkGrid(chunkByteCount: header.chunkByteCount), limits: .default)
    var padding = ByteReader(bytes.rawSpan.extracting(droppingFirst: tableEnd), at: base)
    try padding.skipZeros(padding.remainingByteCount)
    // A reader goes on behind the padding; here nothing may follow.
    guard end - base == UInt64(bytes.count) else {
      throw FormatError(.inconsistent("bytes behind the front table"), at: end)
    }
    var own = header
    own.saveIdentifier = head.saveIdentifier
    return FrontTable.encoded(table.encoded, in: own).bytes
  }

  static func tensorTable(_ file: SampleFile) -> SealedPart {
    section("tensor table", file.section(.tensorTable), isResizable: true) {
      (content) throws(FormatError) in
      try TensorTable(
        decoding: content.rawSpan, at: 0, grid: file.tensors.grid, limits: .default
      ).encoded
    }
  }

  static func nameOrder(_ file: SampleFile) -> SealedPart {
    section("name order", file.section(.nameOrder)) { (content) throws(FormatError) in
      try NameOrder(decoding: content.rawSpan, at: 0, of: file.tensors).encoded
    }
  }

  static func chunkTable(_ file: SampleFile) -> SealedPart {
    section("chunk table", file.section(.chunkTable)) { (content) throws(FormatError) in
      try ChunkTable(
        decoding: content.rawSpan, at: 0, of: file.tensors, filling: file.chunkRegion,
        version: file.header.formatVersion
      ).encoded
    }
  }

  static func metadata(_ file: SampleFile) -> SealedPart {
    section("metadata", file.section(.metadata), isResizable: true) {
      (content) throws(FormatError) in
      try Metadata(decoding: content.rawSpan, at: 0, limits: .default).encoded()
    }
  }

  static func trailer(_ file: SampleFile) -> SealedPart {
    SealedPart(testDescription: "trailer", bytes: Array(file.bytes.suffix(Trailer.byteCount))) {
      $0.seal(at: Trailer.checksumOffset)
    } reencode: { (bytes) throws(FormatError) in
      try Trailer(
        decoding: bytes.rawSpan, fileByteCount: UInt64(file.bytes.count),
        version: file.header.formatVersion, limits: .default
      ).encoded
    }
  }

  private static func section(
    _ name: String, _ content: [UInt8], isResizable: Bool = false,
    _ reencode: @escaping @Sendable ([UInt8]) throws(FormatError) -> [UInt8]
  ) -> SealedPart {
    SealedPart(testDescription: name, bytes: sealed(content), isResizable: isResizable) { bytes in
      guard bytes.count >= 4 else { return }
      bytes.seal(at: bytes.count - 4)
    } reencode: { (bytes) throws(FormatError) in
      guard bytes.count >= 4 else { throw FormatError(.truncated(needed: 4), at: 0) }
      let content = Array(bytes.dropLast(4))
      guard bytes == sealed(content) else {
        throw FormatError(.checksumMismatch(.section, stored: 0, computed: 0), at: 0)
      }
      return sealed(try reencode(content))
    }
  }
}
