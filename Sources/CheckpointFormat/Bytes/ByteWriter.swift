/// Appends little-endian fields to a growing array.
package struct ByteWriter {
  package private(set) var bytes: [UInt8] = []

  package init(reservingCapacity byteCount: Int = 0) {
    bytes.reserveCapacity(byteCount)
  }

  package var byteCount: Int { bytes.count }

  package mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
    var rest = value
    for _ in 0..<MemoryLayout<T>.size {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
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
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
  }
}
