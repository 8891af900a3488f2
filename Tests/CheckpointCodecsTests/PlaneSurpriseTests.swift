import CheckpointCodecs
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: what a plane becomes is decided from a sample; a chunk of which the sample tells nothing is stored
// or coded all the same, and comes back.
// Method: chunks that are noise but for the two places where the encoder looks, at a quarter and at three.
@Suite struct PlaneSurpriseTests {
  private static let count = 1 << 18

  /// Noise with `part` at both places: too little to save a thirty-second.
  private func noise(around part: [UInt8]) -> [UInt8] {
    var bytes = SampleBytes.random(Self.count)
    for place in [Self.count / 4, 3 * Self.count / 4] {
      bytes.replaceSubrange(place..<place + part.count, with: part)
    }
    return bytes
  }

  @Test func noiseThatLooksRegularIsStored() {
    let codec = Codec(byteCountMax: 1 << 21)
    let zeros = [UInt8](repeating: 0, count: 2048)
    #expect(codec.roundTrip(noise(around: zeros), .uint8) == nil)
    #expect(codec.roundTrip(noise(around: SampleBytes.mask(2048, oneIn: 2)), .uint8) == nil)
    #expect(codec.roundTrip(noise(around: SampleBytes.text(2048)), .uint8) == nil)
  }

  /// The last plane alone looks regular, as an exponent does.
  @Test func wideElementsThatLookRegularAreStored() {
    let codec = Codec(byteCountMax: 1 << 21)
    for dtype in [DType.int16, .int32, .int64] {
      let width = dtype.byteCount
      var bytes = SampleBytes.random(Self.count * width)
      for first in [Self.count / 4, 3 * Self.count / 4] {
        for element in first..<first + 2048 { bytes[element * width + width - 1] = 1 }
      }
      #expect(codec.roundTrip(bytes, dtype) == nil, "\(dtype)")
    }
  }

  @Test func oneRegularPlaneIsCodedBesideOneThatOnlyLooksSo() throws {
    let codec = Codec(byteCountMax: 1 << 21)
    var bytes = SampleBytes.random(Self.count * 2)
    for element in 0..<Self.count { bytes[element * 2 + 1] = UInt8(element / 7 & 3) }
    for first in [Self.count / 4, 3 * Self.count / 4] {
      for element in first..<first + 2048 { bytes[element * 2] = 9 }
    }
    let stored = try #require(codec.roundTrip(bytes, .int16))
    #expect(stored.count < Self.count * 5 / 4)
  }

  /// Four bytes of some dozen repeat what stood before: enough to be tried, too few to save anything.
  @Test func matchesThatSaveNothingAreNotTaken() {
    let codec = Codec(byteCountMax: 1 << 21)
    var random = SplitMix64(state: 21)
    var bytes = SampleBytes.random(Self.count)
    for place in stride(from: 1024, to: Self.count - 16, by: 16 * 3) {
      let before = place - 16 * (1 + Int(random.next() % 60))
      for index in 0..<4 { bytes[place + index] = bytes[before + index] }
    }
    #expect(codec.roundTrip(bytes, .uint8) == nil)
  }
}
