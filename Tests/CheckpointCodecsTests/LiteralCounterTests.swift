import CheckpointCodecs
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: every way says of a plane what a byte at a time says, and a sample costs nothing but what it saves: no
// byte is without a code, and a plane that the sample is not like is as small as if all had been counted.
// Method: the definition beside the ways of this processor, in memory in front of a page that cannot be touched;
// planes made so that no sampled word shows what they are.
@Suite struct LiteralCounterTests {
  private let ways = 0...BytePlanes.bestWay
  private let memory = GuardedBytes(capacity: 1 << 20)

  /// Bytes of few kinds and of many, with the highest bit and without.
  private static func example(_ count: Int, kind: Int) -> [UInt8] {
    let noise = SampleBytes.random(count, seed: UInt64(1000 * kind + count))
    switch kind {
    case 0: return noise
    case 1: return noise.map { 110 + ($0 & $0 >> 3 & 31) }
    case 2: return noise.map { $0 & 0x81 }
    default: return noise.map { $0 % 200 == 0 ? $0 &* 7 : 0xFF }
    }
  }

  @Test(arguments: 0..<4) func everyWayFindsTheBytesThatThereAre(kind: Int) {
    for count in Array(0...200) + [4096, 5003] {
      let bytes = Self.example(count, kind: kind)
      // Marked already: none, some that are not there among them, or all.
      for before in [[UInt8](repeating: 0, count: 256), (0..<256).map { UInt8($0 % 3 / 2) }] {
        var expected = before
        for byte in bytes { expected[Int(byte)] = 1 }
        for way in ways {
          var seen = before
          unsafe LiteralCounter.mark(
            memory.copy(bytes).assumingMemoryBound(to: UInt8.self), in: &seen,
            way: way)
          #expect(seen == expected, "way \(way), \(count) bytes")
        }
      }
    }
  }

  /// Whichever byte is marked, it hides no other.
  @Test func everyWayTellsAnyTwoBytesApart() {
    for way in ways {
      for byte in 0...UInt8.max {
        let bytes = [UInt8](repeating: byte, count: 64)
        for marked in 0..<256 {
          var seen = [UInt8](repeating: 0, count: 256)
          seen[marked] = 1
          unsafe bytes.withUnsafeBufferPointer {
            unsafe LiteralCounter.mark($0, in: &seen, way: way)
          }
          let isRight = seen[Int(byte)] == 1 && seen.reduce(0) { $0 + Int($1) } <= 2
          #expect(isRight, "way \(way), \(byte) beside \(marked)")
        }
      }
    }
  }

  @Test(arguments: 0..<4) func everyWayAddsTheLengthsOfCodes(kind: Int) {
    var generator = SplitMix64(state: 17)
    for count in Array(0...200) + [4096, 5003] {
      let bytes = Self.example(count, kind: kind)
      // Also tables with few rows that are not empty.
      let rows = UInt8(truncatingIfNeeded: generator.next() | 1)
      let lengths = (0..<256).map { byte -> UInt8 in
        rows >> UInt8(byte / 32) & 1 == 0 ? 0 : UInt8(generator.next() % 12)
      }
      let expected = bytes.reduce(0) { $0 + Int(lengths[Int($1)]) }
      for way in ways {
        let sum = unsafe LiteralCounter.bitCount(
          memory.copy(bytes).assumingMemoryBound(to: UInt8.self), by: lengths,
          way: way)
        #expect(sum == expected, "way \(way), \(count) bytes")
      }
    }
  }

  @Test func allBytesAreCounted() {
    let counter = LiteralCounter()
    for count in [2, 3, 7, 31, 32, 33, 4097, 70_001] {
      let bytes = Self.example(count, kind: 1)
      var expected = [UInt32](repeating: 0, count: 256)
      for byte in bytes { expected[Int(byte)] += 1 }
      #expect(unsafe bytes.withUnsafeBufferPointer { unsafe counter.all($0) } == expected)
    }
  }

  /// The same by every way, so that a file does not depend on the processor.
  @Test(arguments: [1 << 16, 1 << 18, 324_352, 1 << 20])
  func aSampleIsLikeThePlane(count: Int) {
    let counter = LiteralCounter()
    var bytes = Self.example(count, kind: 1)
    // By itself, and where no word is counted if the parts do not come out even.
    bytes[count - 1] = 3
    var exact = [Double](repeating: 0, count: 256)
    for byte in bytes { exact[Int(byte)] += 1 }
    var samples: [[UInt32]] = []
    for way in ways {
      samples.append(
        unsafe bytes.withUnsafeBufferPointer { unsafe counter.sampled($0, way: way) })
    }
    #expect(Set(samples).count == 1)
    let total = Double(samples[0].reduce(0, +))
    for byte in 0..<256 {
      #expect((samples[0][byte] > 0) == (exact[byte] > 0), "\(byte)")
      let (share, sampled) = (exact[byte] / Double(count), Double(samples[0][byte]) / total)
      #expect(abs(share - sampled) < 0.01, "\(byte)")
    }
  }

  /// Words lie in their parts, and in all places of these.
  @Test(arguments: [16, 17, 79, 128, 4096]) func anyPlaceIsSampled(partByteCount: Int) {
    var places: Set<Int> = []
    for part in 0..<4096 {
      let place = LiteralCounter.sampledOffset(part, partByteCount) - part * partByteCount
      #expect(0...partByteCount - 8 ~= place)
      places.insert(place)
    }
    #expect(places.count > min(4096, partByteCount - 7) / 2)
  }

  /// What is counted are two values, and all else are sixteen others: with codes for what a sample shows, these
  /// would take eleven bits each, where four are enough.
  @Test func aPlaneThatIsNotLikeItsSampleIsCounted() throws {
    let count = 1 << 18
    var bytes = SampleBytes.random(count).map { 16 + $0 % 16 }
    let partByteCount = count / 4096
    for part in 0..<4096 {
      let place = LiteralCounter.sampledOffset(part, partByteCount)
      for index in place..<place + 8 { bytes[index] = UInt8(index & 1) }
    }
    let stored = try #require(Codec().roundTrip(bytes, .uint8))
    #expect(stored.count < count * 55 / 100)
  }

  /// Each of them has a code, of the greatest length.
  @Test func bytesThatNoSampleShowsComeBack() {
    let codec = Codec()
    for count in [1 << 16, 100_003, 1 << 18] {
      var bytes = SampleBytes.random(count).map { 100 + ($0 & 3) }
      for byte in 0..<256 { bytes[count / 300 * byte + byte % 7] = UInt8(byte) }
      #expect(codec.roundTrip(bytes, .uint8) != nil)
    }
  }
}
