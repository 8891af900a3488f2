/// Takes bits from a DEFLATE stream one field at a time, for what is not the bulk; bits behind the end are
/// zero and noticed.
@safe
struct BitReader {
  private let bytes: UnsafeBufferPointer<UInt8>
  private(set) var bitCount = 0

  @unsafe init(_ bytes: UnsafeBufferPointer<UInt8>) { unsafe self.bytes = bytes }

  /// Whether no more was taken than there is.
  var isWithinBounds: Bool { unsafe bitCount <= bytes.count * 8 }

  mutating func take(_ count: Int) -> Int {
    var value = 0
    for bit in 0..<count {
      let (byte, place) = (bitCount >> 3, bitCount & 7)
      // SAFETY: compared with the number of bytes.
      if unsafe byte < bytes.count { unsafe value |= Int(bytes[byte] >> UInt8(place) & 1) << bit }
      bitCount += 1
    }
    return value
  }
}
