import CheckpointCodecs
import CheckpointFormat
import Foundation
import Testing

// Goal: chunks become as small as their planes allow, and never larger.
// Method: sizes beside the order-0 entropy of the planes, computed here from the elements, and beside what
// zlib's level 1 makes of the same bytes.
@Suite struct PlaneSizeTests {
  private let codec = Codec(byteCountMax: 1 << 20)

  /// The order-0 entropy of the bytes of elements, as a share of their size.
  private func floor(_ raw: [UInt8], width: Int, isRotated: Bool) -> Double {
    let count = raw.count / width
    var counts = [[Int]](repeating: [Int](repeating: 0, count: 256), count: width)
    for element in 0..<count {
      var word: UInt64 = 0
      for byte in 0..<width { word |= UInt64(raw[element * width + byte]) << UInt64(8 * byte) }
      if isRotated { word = word << 1 | word >> UInt64(8 * width - 1) & 1 }
      for byte in 0..<width { counts[byte][Int(word >> UInt64(8 * byte) & 0xFF)] += 1 }
    }
    let bits = counts.map { counts in
      counts.filter { $0 > 0 }.reduce(0.0) { $0 - Double($1) * log2(Double($1) / Double(count)) }
    }
    return bits.reduce(0, +) / 8 / Double(raw.count)
  }

  /// What zlib's level 1 makes of a chunk, as a share.
  private func deflated(_ raw: [UInt8]) -> Double {
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 64)
    defer { unsafe output.deallocate() }
    let count = unsafe Deflater().encode(raw.rawSpan, into: output)
    return Double(count ?? raw.count) / Double(raw.count)
  }

  @Test(arguments: [1 << 17, 1 << 18, 1 << 20])
  func normalFloatsComeWithin7TenthsOfAPointOfTheirEntropy(byteCount: Int) {
    let bfloat16 = SampleBytes.bfloat16(SampleBytes.normal(byteCount / 2))
    let float32 = SampleBytes.float32(SampleBytes.normal(byteCount / 4))
    let (low, high) = (
      floor(bfloat16, width: 2, isRotated: true), floor(float32, width: 4, isRotated: true)
    )
    #expect(abs(low - 0.659) < 0.004 && abs(high - 0.830) < 0.004, "\(low), \(high)")
    let shares = (codec.share(bfloat16, .bfloat16), codec.share(float32, .float32))
    #expect(shares.0 <= low + 0.007, "\(shares.0), floor \(low)")
    #expect(shares.1 <= high + 0.007, "\(shares.1), floor \(high)")
  }

  @Test func momentsOfAdamComeWithin7TenthsOfAPointOfTheirEntropy() {
    let moments = SampleBytes.moments(1 << 16)
    for values in [moments.first, moments.second] {
      let raw = SampleBytes.float32(values)
      let (share, low) = (codec.share(raw, .float32), floor(raw, width: 4, isRotated: true))
      #expect(share <= low + 0.007, "\(share), floor \(low)")
    }
  }

  @Test func bfloat16InsideFloat32TakesAThird() {
    let halves = SampleBytes.bfloat16(SampleBytes.normal(1 << 18))
    let raw = (0..<halves.count / 2).flatMap {
      [0, 0, halves[2 * $0], halves[2 * $0 + 1]] as [UInt8]
    }
    let share = codec.share(raw, .float32)
    #expect(share <= 0.34, "\(share)")
  }

  @Test(arguments: DType.allCases)
  func zerosAndConstantsTakeNextToNothing(dtype: DType) {
    #expect(codec.share(SampleBytes.zeros(1 << 20), dtype) <= 0.001)
    let element = Array(SampleBytes.random(8, seed: 4)[..<min(4, dtype.byteCount)])
    #expect(codec.share(SampleBytes.constant(1 << 20, element), dtype) <= 0.001)
  }

  @Test(arguments: DType.allCases)
  func oneOddElementInZerosTakesLittle(dtype: DType) {
    for place in [0, 1 << 10, 1 << 19, 1 << 20 - 1] {
      let share = codec.share(SampleBytes.zeros(1 << 20, oddByteAt: place), dtype)
      #expect(share <= 0.006, "at \(place): \(share)")
    }
  }

  @Test(arguments: DType.allCases)
  func noiseIsStored(dtype: DType) {
    for count in [8, 4096, 1 << 15, 1 << 20] {
      #expect(codec.encoded(SampleBytes.random(count, seed: 9), dtype) == nil, "\(count) bytes")
    }
  }

  @Test func textMasksAndRowsAreAsSmallAsZlibMakesThem() {
    let count = 1 << 18
    let samples: [(String, [UInt8], DType, Double)] = [
      ("text", SampleBytes.text(count), .uint8, 1.02),
      ("random mask", SampleBytes.mask(count, oneIn: 2), .bool, 1.02),
      ("mask", SampleBytes.mask(count, oneIn: 10), .bool, 1.02),
      ("rare mask", SampleBytes.mask(count, oneIn: 500), .bool, 1.02),
      ("short runs", SampleBytes.runs(count, upTo: 8), .bool, 1.02),
      ("runs", SampleBytes.runs(count, upTo: 300), .bool, 1.02),
      ("rows", SampleBytes.repeatedRows(1024, rowByteCount: 256, of: 20), .float32, 1.02),
    ]
    for (name, raw, dtype, factor) in samples {
      let (share, zlib) = (codec.share(raw, dtype), deflated(raw))
      #expect(share <= zlib * factor, "\(name): \(share), zlib \(zlib)")
    }
  }

  @Test func integersInOrderAreAsSmallAsZlibMakesThem() {
    let count = 1 << 16
    let samples: [(String, [UInt8], DType)] = [
      ("sorted", SampleBytes.sorted(count, as: UInt16.self), .uint16),
      ("sorted", SampleBytes.sorted(count, as: UInt32.self), .int32),
      ("sorted", SampleBytes.sorted(count, as: UInt64.self), .int64),
      ("range", SampleBytes.range(count, as: UInt8.self), .uint8),
      ("range", SampleBytes.range(count, as: UInt16.self), .int16),
      ("range", SampleBytes.range(count, as: UInt32.self), .uint32),
      ("range", SampleBytes.range(count, as: UInt64.self), .uint64),
    ]
    for (name, raw, dtype) in samples {
      let (share, zlib) = (codec.share(raw, dtype), deflated(raw))
      #expect(share <= zlib * 1.02, "\(name) of \(dtype): \(share), zlib \(zlib)")
    }
  }
}

extension PlaneSizeTests {
  /// Rotated, the last plane would have seven bits to be coded, for the sign that is always the same.
  @Test(arguments: [1.0, -1.0])
  func floatsOfOneSignAreNotRotated(sign: Double) throws {
    let codec = Codec()
    let values = SampleBytes.normal(20_000).map { $0.magnitude * sign }
    let stored = try #require(codec.roundTrip(SampleBytes.float32(values), .float32))
    #expect(stored[1] == 0)
    #expect([4, 8, 12, 16].map { stored[$0] } == [0, 0, 0, 2])
    let mixed = SampleBytes.normal(20_000)
    #expect(try #require(codec.roundTrip(SampleBytes.float32(mixed), .float32))[1] == 1)
  }
}
