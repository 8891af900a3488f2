internal import CheckpointFormat

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

  /// Puts the checksum of the first `offset` bytes behind them.
  package mutating func seal(at offset: Int) {
    let checksum = CRC32.checksum(rawSpan.extracting(0..<offset))
    overwrite(at: offset, with: littleEndian(checksum))
  }

  /// Makes the checksum of a front table fit, if its length makes sense.
  package mutating func sealFrontTable() {
    guard count >= FrontTable.headByteCount else { return }
    var reader = ByteReader(rawSpan.extracting(droppingFirst: 8), at: 0)
    guard let length = try? reader.read(UInt64.self), length < UInt64(count),
      FrontTable.headByteCount + Int(length) <= count
    else { return }
    let end = FrontTable.headByteCount + Int(length)
    let checksum = CRC32.checksum(rawSpan.extracting(8..<end))
    overwrite(at: 4, with: littleEndian(checksum))
  }
}
