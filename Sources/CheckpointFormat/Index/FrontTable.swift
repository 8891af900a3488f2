/// The tensor table's first copy, behind the header.
///
/// It is written before any chunk, so that a file which lost its end still tells what its chunks
/// belong to.
///
/// - SeeAlso: docs/format.md, section 6.
package enum FrontTable {
  package static let headByteCount = 32
  package static let magic: UInt32 = 0x544E_5246  // "FRNT"

  /// What a reader learns from the head.
  package struct Head: Hashable, Sendable {
    package var checksum: UInt32
    package var tableByteCount: UInt64
    package var saveIdentifier: Identifier
  }

  /// Encodes head, table and padding up to the first frame.
  package static func encoded(
    _ table: [UInt8], in header: CheckpointHeader
  ) -> (bytes: [UInt8], checksum: UInt32) {
    var writer = ByteWriter(reservingCapacity: headByteCount + table.count + 64)
    writer.append(magic)
    writer.append(UInt32(0))
    writer.append(UInt64(table.count))
    writer.append(header.saveIdentifier)
    writer.append(contentsOf: table)
    let checksum = header.formatVersion.checksum(
      writer.bytes.rawSpan.extracting(droppingFirst: 8))
    writer.replace(at: 4, with: checksum)
    writer.align(to: Int(Layout.alignment))
    return (writer.bytes, checksum)
  }

  /// Reads the head, whose length is needed before its checksum can be checked.
  package static func decodeHead(
    _ bytes: RawSpan, limits: Limits = .default
  ) throws(FormatError) -> Head {
    let base = Layout.frontTableOffset
    var reader = ByteReader(bytes, at: base)
    guard try reader.read(UInt32.self) == magic else {
      throw FormatError(.inconsistent("no front table behind the header"), at: base)
    }
    let head = Head(
      checksum: try reader.read(UInt32.self), tableByteCount: try reader.read(UInt64.self),
      saveIdentifier: try reader.readIdentifier())
    // Damage and not a limit, because no checksum has spoken for the number yet.
    guard head.tableByteCount <= limits[\.indexByteCountMax] else {
      throw FormatError(.inconsistent("length of the front table"), at: base + 8)
    }
    return head
  }

  /// Where the first frame lies, for a length that ``decodeHead(_:limits:)`` let pass.
  package static func endOffset(tableByteCount: UInt64) -> UInt64 {
    Layout.aligned(Layout.frontTableOffset + UInt64(headByteCount) + tableByteCount)
  }
}
