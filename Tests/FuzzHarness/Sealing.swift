package import CheckpointFormat

// Changing bytes at a place, and making the checksum of a part fit them again.

/// The little-endian bytes of a number.
package func littleEndian<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> [UInt8] {
  var writer = ByteWriter(reservingCapacity: MemoryLayout<T>.size)
  writer.append(value)
  return writer.bytes
}

extension [UInt8] {
  /// Overwrites bytes from `offset` on.
  package mutating func overwrite(at offset: Int, with other: [UInt8]) {
    replaceSubrange(offset..<offset + other.count, with: other)
  }

  /// Puts the checksum of the first `offset` bytes behind them, as a format version makes it.
  ///
  /// That of the file start is made as in version 1 in all versions.
  package mutating func seal(at offset: Int, as version: FormatVersion = .current) {
    let checksum = version.checksum(rawSpan.extracting(0..<offset))
    overwrite(at: offset, with: littleEndian(checksum))
  }

  /// Makes the checksum of a front table fit, if its length makes sense.
  package mutating func sealFrontTable(as version: FormatVersion = .current) {
    guard count >= FrontTable.headByteCount else { return }
    var reader = ByteReader(rawSpan.extracting(droppingFirst: 8), at: 0)
    guard let length = try? reader.read(UInt64.self), length < UInt64(count),
      FrontTable.headByteCount + Int(length) <= count
    else { return }
    let end = FrontTable.headByteCount + Int(length)
    let checksum = version.checksum(rawSpan.extracting(8..<end))
    overwrite(at: 4, with: littleEndian(checksum))
  }
}

extension CheckpointHeader {
  /// A header that says of what file a part is, and nothing else.
  package static func blank(
    saveIdentifier: Identifier = Identifier(high: 1, low: 2), chunkByteCount: Int = 64,
    formatVersion: FormatVersion = .current
  ) -> CheckpointHeader {
    CheckpointHeader(
      generation: 1, saveIdentifier: saveIdentifier,
      checkpointIdentifier: Identifier(high: 3, low: 4),
      runIdentifier: Identifier(high: 5, low: 6), parentIdentifier: nil, step: 1, savedAt: 0,
      supersededGeneration: 0, chunkByteCount: chunkByteCount, writer: "", branchPoints: [],
      formatVersion: formatVersion)
  }
}
