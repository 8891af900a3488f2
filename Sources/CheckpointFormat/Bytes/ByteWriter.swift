/// Appends little-endian fields to a growing array.
package struct ByteWriter {
  package private(set) var bytes: [UInt8] = []

  package init(reservingCapacity byteCount: Int = 0) {
    bytes.reserveCapacity(byteCount)
  }

  package var byteCount: Int { bytes.count }

  package mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
    // SAFETY: the bytes of the integer are copied within the call.
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  package mutating func append(_ identifier: Identifier) {
    append(identifier.high.byteSwapped)
    append(identifier.low.byteSwapped)
  }

  package mutating func append(contentsOf other: some Sequence<UInt8>) {
    bytes.append(contentsOf: other)
  }

  /// Appends zeros up to `byteCount` bytes in all.
  package mutating func pad(to byteCount: Int) {
    precondition(byteCount >= bytes.count, "a field overran its place in the layout")
    bytes.append(contentsOf: repeatElement(0, count: byteCount - bytes.count))
  }

  /// Appends zeros up to the next multiple of `alignment`.
  package mutating func align(to alignment: Int) {
    pad(to: (bytes.count + alignment - 1) / alignment * alignment)
  }

  /// Overwrites four bytes that were written before.
  package mutating func replace(at offset: Int, with value: UInt32) {
    // SAFETY: the buffer is the array's own, and the store is checked against its length.
    unsafe bytes.withUnsafeMutableBytes { unsafe $0.store(value, at: offset) }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Stores an integer as the format has it: little-endian, at any offset.
  ///
  /// - Precondition: The bytes lie in the buffer.
  package func store<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ value: T, at offset: Int
  ) {
    precondition(
      offset >= 0 && offset <= count - MemoryLayout<T>.size, "an integer outside the buffer")
    // SAFETY: the precondition keeps the store inside the buffer.
    unsafe storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
  }

  /// Stores the 16 bytes of an identifier.
  package func store(_ identifier: Identifier, at offset: Int) {
    // SAFETY: both stores are checked.
    unsafe store(identifier.high.byteSwapped, at: offset)
    unsafe store(identifier.low.byteSwapped, at: offset + 8)
  }
}
