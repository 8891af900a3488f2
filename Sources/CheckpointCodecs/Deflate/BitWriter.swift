/// Appends bits to DEFLATE streams, lowest bit of a byte first, byte by byte: for what is not the bulk.
struct BitWriter {
  private(set) var bytes: [UInt8] = []
  private(set) var bitCount = 0

  /// Appends the `count` lowest bits of `value`.
  mutating func append(_ value: Int, _ count: Int) {
    for bit in 0..<count {
      if bitCount & 7 == 0 { bytes.append(0) }
      bytes[bitCount >> 3] |= UInt8(value >> bit & 1) << UInt8(bitCount & 7)
      bitCount += 1
    }
  }
}
