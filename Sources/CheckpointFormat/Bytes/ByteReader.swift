// Reads little-endian fields from untrusted bytes. Sizes are compared with what remains, never
// with a sum that could overflow; a failed read does not move the reader.

/// A cursor over the bytes of one part of a checkpoint file.
package struct ByteReader: ~Escapable {
  private let bytes: RawSpan
  /// Where the first byte of `bytes` lies in the file; errors report file offsets.
  private let base: UInt64
  private var position = 0

  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, at base: UInt64) {
    self.bytes = bytes
    self.base = base
  }

  package var remainingByteCount: Int { bytes.byteCount - position }

  /// The offset of the next byte, from the start of the file.
  package var fileOffset: UInt64 { base + UInt64(position) }

  /// Reads one little-endian integer and moves past it.
  @inline(__always)
  package mutating func read<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(FormatError) -> T {
    let width = MemoryLayout<T>.size
    guard width <= remainingByteCount else { throw truncated(needed: width) }
    // SAFETY: the guard keeps the load inside `bytes`; every bit pattern is a valid integer.
    let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: T.self)
    position += width
    return T(littleEndian: value)
  }

  /// Borrows the next `byteCount` bytes and moves past them.
  @inline(__always)
  @_lifetime(copy self)
  package mutating func readBytes(_ byteCount: Int) throws(FormatError) -> RawSpan {
    guard byteCount <= remainingByteCount else { throw truncated(needed: byteCount) }
    let result = bytes.extracting(position..<position + byteCount)
    position += byteCount
    return result
  }

  /// Reads a number that people count up: at most 2^63 - 1, so that the next one always exists.
  package mutating func readCounter() throws(FormatError) -> UInt64 {
    let start = fileOffset
    let value = try read(UInt64.self)
    guard value <= Limits.counterMax else {
      throw FormatError(
        .overLimit("counter", value: value, limit: Limits.counterMax), at: start)
    }
    return value
  }

  /// Reads a 128-bit identifier.
  package mutating func readIdentifier() throws(FormatError) -> Identifier {
    let high = try read(UInt64.self)
    let low = try read(UInt64.self)
    return Identifier(high: high.byteSwapped, low: low.byteSwapped)
  }

  /// Reads text that must be valid UTF-8.
  package mutating func readString(_ byteCount: Int) throws(FormatError) -> String {
    let start = fileOffset
    let utf8 = try readBytes(byteCount)
    guard let text = String(validating: utf8) else { throw FormatError(.invalidUTF8, at: start) }
    return text
  }

  /// Moves past `byteCount` bytes that the format keeps zero.
  package mutating func skipZeros(_ byteCount: Int) throws(FormatError) {
    let start = fileOffset
    let zeros = try readBytes(byteCount)
    if let index = zeros.firstNonZeroIndex {
      throw FormatError(.reservedNotZero, at: start + UInt64(index))
    }
  }

  private func truncated(needed: Int) -> FormatError {
    FormatError(.truncated(needed: UInt64(needed)), at: fileOffset)
  }
}
