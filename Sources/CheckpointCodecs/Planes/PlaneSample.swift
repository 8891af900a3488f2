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
      power = power * power >> 31
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
    guard bytes.count > matchByteCount, let start = bytes.baseAddress else { return 0 }
    // Only places whose hash ends with two zeros: what repeats is chosen each time it comes.
    return unsafe withUnsafeTemporaryAllocation(of: Int16.self, capacity: 2048) { places in
      unsafe places.initialize(repeating: -1)
      return unsafe repeatCount(start, bytes.count, matchByteCount, places)
    }
  }

  private static func repeatCount(
    _ start: UnsafePointer<UInt8>, _ count: Int, _ matchByteCount: Int,
    _ places: UnsafeMutableBufferPointer<Int16>
  ) -> Int {
    var found = 0
    for offset in 0...count - matchByteCount {
      // SAFETY: `matchByteCount` bytes lie behind every offset, and it is at least four.
      let place = unsafe UnsafeRawPointer(start + offset)
      var word = unsafe UInt64(place.loadUnaligned(as: UInt32.self))
      if matchByteCount == 12 {
        let rest = unsafe place.loadUnaligned(fromByteOffset: 4, as: UInt64.self)
        word = (word ^ rest) &* 0x9E37_79B9_7F4A_7C15 ^ rest >> 32
      }
      let hash = word &* 0x9E37_79B9_7F4A_7C15
      guard hash >> 62 == 0 else { continue }
      let slot = Int(hash >> 51) & 2047
      let before = unsafe Int(places[slot])
      unsafe places[slot] = Int16(offset)
      guard before >= 0 else { continue }
      var isEqual = true
      for index in 0..<matchByteCount
      where unsafe start[before + index] != start[offset + index] { isEqual = false }
      if isEqual { found += 4 }
    }
    return found
  }
}
