import CheckpointCodecs
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: what is encoded decodes to the same bytes, for every dtype, length and kind of contents.
// Method: chunks in memory with a guard behind the last byte, decoded by our decoder and by zlib alone;
// lengths around every threshold and every remainder of the loops that take several bytes at once.
@Suite struct PlaneRoundTripTests {
  /// One dtype for each way in which elements are taken apart.
  static let layouts: [DType] = [.uint8, .int16, .bfloat16, .int32, .float32, .int64, .float64]

  @Test func noChunkOfAnyShortLengthIsLost() {
    let codec = Codec()
    let (noise, zeros) = (SampleBytes.random(1 << 12), SampleBytes.zeros(1 << 12))
    for dtype in DType.allCases {
      var encodedCount = 0
      for count in 0...400 {
        let byteCount = count * dtype.byteCount
        codec.roundTrip(Array(noise[..<byteCount]), dtype, "noise")
        codec.roundTrip(Array(zeros[..<byteCount]), dtype, "zeros")
        // Both parts of a complex number alike: they are elements by themselves.
        let element = Array(
          noise[..<min(4, dtype.byteCount)] + noise[..<max(0, dtype.byteCount - 4)])
        let constant = SampleBytes.constant(byteCount, element)
        if codec.roundTrip(constant, dtype, "constant") != nil { encodedCount += 1 }
        guard byteCount > 0 else { continue }
        var odd = constant
        odd[byteCount - 1] ^= 1
        codec.roundTrip(odd, dtype, "one odd byte")
      }
      #expect(encodedCount > 370, "constant elements of \(dtype) are stored")
    }
  }

  @Test(arguments: [4096, 5001, 16_384, 100_000])
  func whatOurEncoderCodesIsDecodedWithoutZlib(count: Int) throws {
    let codec = Codec()
    let stored = try #require(
      codec.roundTrip(SampleBytes.float32(SampleBytes.normal(count)), .float32))
    // The last row: streams, one or four of them.
    #expect(stored[16] == 2 && stored[17] == (count < 16_384 ? 1 : 4))
    #expect(codec.leftToZlibCount == 0)
  }

  @Test(arguments: [4096, 16_384])
  func noChunkAroundAThresholdIsLost(threshold: Int) {
    let codec = Codec()
    // Width 1 with codes: each remainder of the loops over four places of eight bytes.
    for count in threshold - 9...threshold + 72 {
      for (name, bytes) in SampleBytes.all(count) { codec.roundTrip(bytes, .uint8, name) }
    }
    for dtype in Self.layouts {
      let samples = SampleBytes.all((threshold + 20) * dtype.byteCount)
      for count in threshold - 2...threshold + 18 {
        for (name, bytes) in samples {
          codec.roundTrip(Array(bytes.prefix(count * dtype.byteCount)), dtype, name)
        }
      }
    }
  }

  @Test(arguments: [1 << 20, 4 << 20, 4 << 20 - 64])
  func noLargeChunkIsLost(byteCount: Int) {
    let codec = Codec(byteCountMax: byteCount)
    for (index, sample) in SampleBytes.all(byteCount).enumerated() {
      // Each layout meets some of the contents; the smaller tests have each pair.
      for (place, dtype) in Self.layouts.enumerated() where (index + place) % 3 == 0 {
        codec.roundTrip(sample.bytes, dtype, sample.name)
      }
    }
  }

  @Test func everyDtypeComesBack() {
    let codec = Codec()
    let samples = SampleBytes.all(5000 * 8)
    for dtype in DType.allCases {
      for (name, bytes) in samples { codec.roundTrip(bytes, dtype, name) }
    }
  }

  @Test func aChunkBecomesTheSameBytesEachTime() {
    let used = Codec()
    let samples = SampleBytes.all(20_000 * 8)
    for dtype in Self.layouts {
      for (name, bytes) in samples {
        let first = used.encoded(bytes, dtype)
        let again = used.encoded(bytes, dtype)
        let fresh = Codec().encoded(bytes, dtype)
        #expect(first == again && first == fresh, "\(name) as \(dtype)")
      }
    }
  }

  @Test func codesOfEveryLengthUpToTheLimitComeBack() {
    let codec = Codec()
    // Fibonacci numbers of bytes have the deepest tree; one code is then as long as the limit allows.
    for symbolCount in [2, 3, 11, 12, 13, 20, 23] {
      var (counts, bytes): ([Int], [UInt8]) = ([1, 1], [])
      while counts.count < symbolCount {
        counts.append(counts[counts.count - 2] + counts[counts.count - 1])
      }
      for (symbol, count) in counts.enumerated() {
        bytes += [UInt8](repeating: UInt8(symbol * 11), count: count)
      }
      while bytes.count < 20_000 { bytes += bytes }
      var generator = SplitMix64(state: 1)
      bytes.shuffle(using: &generator)
      let stored = codec.roundTrip(bytes, .uint8, "\(symbolCount) Fibonacci numbers")
      #expect(stored != nil)
    }
  }
}
