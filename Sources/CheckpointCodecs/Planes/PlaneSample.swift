/// What some thousand bytes of a plane say about the rest of it.
struct PlaneSample {
  /// Whether all of them are equal.
  let isConstant: Bool
  /// Whether they are 0 and 1.
  let isBit: Bool
  /// Whether all of them are even, or all odd.
  let hasOneParity: Bool
  /// How many bits a byte needs by itself, in the mean: the entropy of order 0.
  let bitsPerByte: Double
  /// Whether the bytes often repeat what came before, so that looking for matches may pay.
  let isRepetitive: Bool

  /// The most bytes that are looked at.
  static let byteCountMax = 4096

  /// - Parameters:
  ///   - bytes: 1 to ``byteCountMax`` bytes.
  ///   - matchByteCount: How many bytes in a row must repeat to count: 4 or 12. The exponents of floats
  ///     repeat a few by chance.
  init(_ bytes: UnsafeBufferPointer<UInt8>, matchByteCount: Int) {
    let total = bytes.count
    var (sum, distinctCount, evenCount, bitCount) = (0, 0, 0, 0)
    // On the stack: this is done for every plane of every chunk.
    unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { counts in
      unsafe counts.initialize(repeating: 0)
      for index in bytes.indices { unsafe counts[Int(bytes[index])] &+= 1 }
      for byte in 0..<256 {
        let count = unsafe Int(counts[byte])
        guard count > 0 else { continue }
        sum += Self.weightedLogarithms[count]
        distinctCount += 1
        if byte & 1 == 0 { evenCount += count }
        if byte < 2 { bitCount += count }
      }
    }
    isConstant = distinctCount == 1
    isBit = bitCount == total && distinctCount == 2
    hasOneParity = evenCount == 0 || evenCount == total
    let sampled = Double(Self.weightedLogarithms[total] - sum) / Double(total << 16)
    // A sample does not show all that is rare: G. A. Miller, "Note on the bias of information estimates",
    // 1955; 0.72 is 1 / (2 ln 2).
    bitsPerByte = sampled + 0.72 * Double(distinctCount - 1) / Double(total)
    isRepetitive =
      unsafe distinctCount > 1 && Self.repeatCount(bytes, matchByteCount) * 4 >= total
  }

  /// n log₂ n for each n, in units of 2⁻¹⁶ and by whole numbers: the same on every machine.
  private static let weightedLogarithms: [Int] = (0...byteCountMax).map { number in
    guard number > 0 else { return 0 }
    var logarithm = number.bitWidth - 1 - number.leadingZeroBitCount
    var power = UInt64(number) << UInt64(31 - logarithm)  // from 2³¹ to 2³²
    for _ in 0..<16 {
      power = (power * power) >> 31
      logarithm <<= 1
      if power >= 1 << 32 {
        power >>= 1
        logarithm |= 1
      }
    }
    return number * logarithm
  }

  /// About how many places begin with bytes that stood before.
  private static func repeatCount(
    _ bytes: UnsafeBufferPointer<UInt8>, _ matchByteCount: Int
  ) -> Int {
    guard bytes.count >= 64, let start = bytes.baseAddress else { return 0 }
    // On the stack: this is done for every plane of every chunk.
    return unsafe withUnsafeTemporaryAllocation(of: Int16.self, capacity: 1 << placeBitCount) {
      places in
      unsafe places.initialize(repeating: -1)
      return unsafe repeatCount(start, bytes.count, matchByteCount, places)
    }
  }

  private static let placeBitCount: UInt64 = 12
  /// Of so many places the first ``step`` are looked up.
  private static let stride = 16
  /// One in so many places is remembered: what repeats is met at any distance from here on, and nearer ones at a
  /// multiple of theirs.
  private static let step = 4

  private static func repeatCount(
    _ start: UnsafePointer<UInt8>, _ count: Int, _ matchByteCount: Int,
    _ places: UnsafeMutableBufferPointer<Int16>
  ) -> Int {
    let mask: UInt64 = matchByteCount == 12 ? .max : 0xFFFF_FFFF
    var found = 0
    var offset = 0
    // SAFETY: twelve bytes lie behind every place that is hashed or compared.
    while offset + stride + 12 <= count {
      for place in offset..<offset + step {
        let before = unsafe Int(places[slot(start + place, mask)])
        guard before >= 0 else { continue }
        let isEqual = (0..<matchByteCount).allSatisfy {
          unsafe start[before + $0] == start[place + $0]
        }
        if isEqual {
          found += stride
          break
        }
      }
      for place in Swift.stride(from: offset, to: offset + stride, by: step) {
        unsafe places[slot(start + place, mask)] = Int16(truncatingIfNeeded: place)
      }
      offset += stride
    }
    return found
  }

  /// Where a place is remembered: by the four bytes, or the twelve, that it begins with.
  @inline(__always) @unsafe
  private static func slot(_ place: UnsafePointer<UInt8>, _ mask: UInt64) -> Int {
    let bytes = unsafe UnsafeRawPointer(place)
    let first = unsafe bytes.loadUnaligned(as: UInt64.self) & mask
    let rest = unsafe UInt64(bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) & mask >> 32
    let hash = (first ^ rest &* 0xC2B2_AE3D_27D4_EB4F) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: hash &>> (64 &- placeBitCount))
  }
}
