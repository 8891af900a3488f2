import CheckpointCodecs
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: damaged and hostile chunks are refused or decode to what zlib makes of them; none traps or reads or
// writes a byte too many.
// Method: every truncation and every flipped bit of small chunks, and every field of the head with every
// value that may break code, by both decoders over guarded memory.
@Suite struct PlaneDamageTests {
  private let codec = Codec(byteCountMax: 1 << 17)

  /// Four planes with one code for two of them, small enough to be flipped bit by bit.
  private func smallChunk() -> (bytes: [UInt8], raw: [UInt8]) {
    var random = SplitMix64(state: 2)
    let block = LiteralBlock(
      symbols: [0, 1, 7, 200, 255], limit: 11, using: &random, usesRuns: true)
    let symbols: [UInt8] = [0, 1, 7, 200, 255]
    let plane = (0..<90).map { _ in symbols[Int(random.next() % 5)] }
    let pieces = HandMadeChunk.pieces(of: plane, 4)
    let chunk = HandMadeChunk([
      .streams(pieces.map { block.stream($0) }), .stored(plane), .constant(9),
      .streams([block.stream(plane, filling: 255)]),
    ])
    return (chunk.bytes, plane.flatMap { [$0, $0, 9, $0] as [UInt8] })
  }

  /// A chunk as the encoder makes it: 16-bit elements, of which the upper byte has `symbolCount` values.
  private func encodedChunk(_ count: Int, symbolCount: UInt64) -> (bytes: [UInt8], raw: [UInt8]) {
    var random = SplitMix64(state: 3)
    let raw = (0..<count).flatMap { _ -> [UInt8] in [5, UInt8(random.next() % symbolCount)] }
    return (codec.encoded(raw, .int16) ?? [], raw)
  }

  @Test func aSmallChunkDecodes() {
    let chunk = smallChunk()
    #expect(codec.decoded(chunk.bytes, chunk.raw.count) == chunk.raw)
  }

  @Test func everyTruncationIsRefused() {
    for chunk in [
      smallChunk(), encodedChunk(4096, symbolCount: 2), encodedChunk(16_384, symbolCount: 3),
    ] {
      #expect(chunk.bytes.count > 100)
      for count in chunk.bytes.indices {
        #expect(
          codec.decoded(Array(chunk.bytes[..<count]), chunk.raw.count) == nil, "\(count) bytes")
      }
    }
  }

  @Test func everyFlippedBitGivesWhatZlibMakesOfIt() {
    let small = smallChunk()
    var acceptedCount = 0
    for (chunk, step) in [
      (small, 1), (encodedChunk(4096, symbolCount: 2), 1),
      (encodedChunk(16_384, symbolCount: 3), 7),
    ] {
      for bit in 0..<chunk.bytes.count * 8 where bit < 1600 || bit % step == 0 {
        var bytes = chunk.bytes
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        if codec.decoded(bytes, chunk.raw.count) != nil { acceptedCount += 1 }
      }
      #expect(codec.decoded(chunk.bytes, chunk.raw.count) == chunk.raw)
    }
    // Stored and constant bytes, and bits behind the end of a stream.
    #expect(acceptedCount >= 90 * 8 + 8)
  }

  @Test func everyByteOfTheHeadIsChecked() {
    let (bytes, raw) = smallChunk()
    for index in 0..<20 {
      for value in UInt8.min...UInt8.max where value != bytes[index] {
        var changed = bytes
        changed[index] = value
        let decoded = codec.decoded(changed, raw.count)
        // Rotation alone leaves everything else as it was.
        #expect((decoded == nil) == !(index == 1 && value == 1), "byte \(index) is \(value)")
      }
    }
  }

  @Test func everyLengthOfAStreamIsChecked() {
    let (bytes, raw) = smallChunk()
    for stream in 0..<4 {
      let place = 20 + 4 * stream
      let length = UInt32(bytes[place]) | UInt32(bytes[place + 1]) << 8
      let hostile: [UInt32] = [
        0, 1, length - 1, length + 1, length &+ UInt32(bytes.count), 1 << 31 - 1, 1 << 31, .max,
        .max - 1,
        0 &- length, UInt32(bytes.count),
      ]
      for value in hostile {
        var changed = bytes
        changed.replaceSubrange(place..<place + 4, with: littleEndian(value))
        #expect(codec.decoded(changed, raw.count) == nil, "stream \(stream) has \(value) bytes")
      }
    }
    // All lengths at once: their sum must not wrap around.
    for value in [UInt32.max, 1 << 31, 1 << 30] {
      var changed = bytes
      for stream in 0..<4 {
        let place = 20 + 4 * stream
        changed.replaceSubrange(place..<place + 4, with: littleEndian(value))
      }
      #expect(codec.decoded(changed, raw.count) == nil)
    }
  }

  @Test func aChunkHasNoGapAndNothingBehindIt() {
    let (bytes, raw) = smallChunk()
    #expect(codec.decoded(bytes + [0], raw.count) == nil)
    for index in 20...bytes.count {
      var changed = bytes
      changed.insert(0, at: index)
      // Where a byte is stored as it is, one more shifts the rest into the next plane.
      #expect(codec.decoded(changed, raw.count) == nil, "a byte more at \(index)")
    }
  }

  @Test func aChunkDecodesToOneLengthOnly() {
    let (bytes, raw) = smallChunk()
    for count in 0..<raw.count * 2 where count != raw.count {
      #expect(codec.decoded(bytes, count) == nil, "\(count) bytes")
    }
  }

  @Test func elementsMustBeWhole() {
    let chunk = HandMadeChunk([.constant(1), .constant(2), .constant(3), .constant(4)]).bytes
    for count in 0..<64 {
      #expect((codec.decoded(chunk, count) != nil) == (count > 0 && count % 4 == 0))
    }
    #expect(codec.decoded(chunk, 8) == [1, 2, 3, 4, 1, 2, 3, 4])
  }

  @Test func onlyElementsOfTwoBytesOrMoreAreRotated() {
    let plane = HandMadeChunk.Plane.constant(0x81)
    #expect(codec.decoded(HandMadeChunk(isRotated: true, [plane]).bytes, 4) == nil)
    let chunk = HandMadeChunk(isRotated: true, [plane, plane])
    // 0x8181, rotated by one bit to the right.
    #expect(codec.decoded(chunk.bytes, 4) == [0xC0, 0xC0, 0xC0, 0xC0])
  }

  @Test func noPieceOfAPlaneIsEmpty() {
    var random = SplitMix64(state: 4)
    let block = LiteralBlock(symbols: [1, 2], limit: 11, using: &random, usesRuns: true)
    for count in 1...70 {
      let plane = (0..<count).map { UInt8(1 + $0 % 2) }
      for streamCount in 1...16 {
        let pieces = HandMadeChunk.pieces(of: plane, streamCount)
        let chunk = HandMadeChunk([.streams(pieces.map { block.stream($0) })])
        let isGood = pieces.allSatisfy { !$0.isEmpty }
        let decoded = codec.decoded(chunk.bytes, count)
        #expect(decoded == (isGood ? plane : nil), "\(count) bytes in \(streamCount) streams")
      }
    }
  }

  @Test func noiseIsRefusedOrDecodesAsZlibSays() {
    var random = SplitMix64(state: 5)
    for seed in 0..<4000 {
      var bytes = SampleBytes.random(4 + Int(random.next() % 300), seed: UInt64(seed))
      // A head that is nearly right reaches further.
      let width = [1, 2, 4, 8][seed % 4]
      bytes.replaceSubrange(0..<4, with: [UInt8(width), UInt8(seed >> 2 & 1), 0, 0])
      for plane in 0..<width where bytes.count >= 8 + 4 * plane {
        let method = [[0, 0], [1, 0], [2, 1], [2, 4]][Int(random.next() % 4)] as [UInt8]
        bytes.replaceSubrange(4 + 4 * plane..<8 + 4 * plane, with: method + [0, 0])
      }
      _ = codec.decoded(bytes, width * Int(1 + random.next() % 200))
    }
  }
}
