import CZlib
import CheckpointCodecs
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: our decoder takes a stream if and only if zlib does, and makes the same bytes of it.
// Method: streams written here by the letter of RFC 1951, good and bad ones, and streams of zlib with every
// strategy and level, in chunks made by hand; each is decoded by both.
@Suite struct LiteralStreamTests {
  private let codec = Codec(byteCountMax: 1 << 17)

  /// Decodes a plane from some streams, by both decoders.
  private func decoded(_ streams: [[UInt8]], _ count: Int) -> [UInt8]? {
    codec.decoded(HandMadeChunk([.streams(streams)]).bytes, count)
  }

  private func block(
    _ symbolCount: Int, limit: Int = 11, usesRuns: Bool = true, _ random: inout SplitMix64
  ) -> (LiteralBlock, [UInt8]) {
    let symbols = Set((0..<symbolCount).map { _ in UInt8.random(in: 0...255, using: &random) })
    let block = LiteralBlock(symbols: symbols, limit: limit, using: &random, usesRuns: usesRuns)
    return (block, symbols.sorted())
  }

  private func plane(_ count: Int, of symbols: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
    (0..<count).map { _ in symbols[Int(random.next() % UInt64(symbols.count))] }
  }

  @Test func goodStreamsOfEveryCodeDecode() {
    var random = SplitMix64(state: 1)
    for round in 0..<1500 {
      let limit = [2, 5, 8, 11, 12, 15][round % 6]
      let symbolCount = min(
        [1, 2, 3, 10, 100, 256][random.next() % 6 == 0 ? 5 : round / 6 % 6], 1 << limit - 1)
      let (block, symbols) = block(symbolCount, limit: limit, usesRuns: round % 5 > 0, &random)
      let bytes = plane(1 + Int(random.next() % 900), of: symbols, &random)
      let streamCount = [1, 2, 4, 4, 5][round % 5]
      let pieces = HandMadeChunk.pieces(of: bytes, streamCount)
      guard pieces.allSatisfy({ !$0.isEmpty }) else { continue }
      let streams = pieces.map { block.stream($0, filling: Int(random.next() & 127)) }
      let before = codec.leftToZlibCount
      #expect(decoded(streams, bytes.count) == bytes, "round \(round)")
      // Ours decodes what ours might have written; the rest is zlib's.
      let isOurs = block.lengths.allSatisfy { $0 <= 11 }
      #expect((codec.leftToZlibCount == before) == isOurs, "round \(round)")
    }
  }

  @Test func streamsOfOnePlaneMayHaveCodesOfTheirOwn() {
    var random = SplitMix64(state: 2)
    for _ in 0..<300 {
      let bytes = (0..<4).map { _ -> ([UInt8], [UInt8]) in
        let (block, symbols) = block(1 + Int(random.next() % 9), &random)
        let piece = plane(100, of: symbols, &random)
        return (piece, block.stream(piece))
      }
      #expect(decoded(bytes.map(\.1), 400) == bytes.flatMap(\.0))
    }
  }

  @Test func badEndsAreRefused() {
    var random = SplitMix64(state: 3)
    for round in 0..<400 {
      let (block, symbols) = block(1 + round % 40, &random)
      let bytes = plane(4 * (1 + Int(random.next() % 60)), of: symbols, &random)
      let count = round % 2 == 0 ? 1 : 4
      let pieces = HandMadeChunk.pieces(of: bytes, count)
      let good = pieces.map { block.stream($0) }
      #expect(decoded(good, bytes.count) == bytes)
      let bad = round % count
      func refused(_ stream: [UInt8]) -> Bool {
        var streams = good
        streams[bad] = stream
        return decoded(streams, bytes.count) == nil
      }
      #expect(refused(good[bad] + [0]), "a byte more")
      #expect(refused(good[bad] + [UInt8](repeating: 0xFF, count: 9)), "nine bytes more")
      #expect(refused(Array(good[bad].dropLast())), "a byte less")
      #expect(refused([]), "no byte")
      #expect(refused(block.stream(pieces[bad] + [symbols[0]])), "a literal more")
      #expect(refused(block.stream(Array(pieces[bad].dropLast()))), "a literal less")
      #expect(refused(block.stream([])), "no literal")
      var unfinished = good[bad]
      unfinished[0] &= ~1
      #expect(refused(unfinished), "not the last block")
    }
  }

  @Test func codesThatAreNotCompleteAreRefusedAsZlibDoes() {
    var random = SplitMix64(state: 4)
    var acceptedCount = 0
    for round in 0..<2000 {
      let (good, symbols) = block(1 + round % 30, limit: 11, &random)
      var lengths = good.lengths
      // One length is another, or one symbol more or less has a code.
      let symbol = round % 3 == 0 ? Int(random.next() % 257) : Int(symbols[0])
      lengths[round % 7 == 0 ? 256 : symbol] = Int(random.next() % 16)
      let bad = LiteralBlock(lengths: lengths, usesRuns: round % 2 == 0)
      let bytes = plane(40, of: symbols, &random)
      if decoded([bad.stream(bytes)], bytes.count) != nil { acceptedCount += 1 }
    }
    #expect(acceptedCount < 1000)
    // A single code, that of the end, is one bit long and incomplete, which zlib lets pass: nothing follows.
    var lengths = [Int](repeating: 0, count: 257)
    lengths[256] = 1
    #expect(decoded([LiteralBlock(lengths: lengths, usesRuns: true).stream([])], 1) == nil)
  }

  @Test func everyFlippedBitOfAHeadGivesWhatZlibMakesOfIt() {
    var random = SplitMix64(state: 5)
    for symbolCount in [1, 2, 20, 200] {
      let (block, symbols) = block(symbolCount, usesRuns: symbolCount != 200, &random)
      let bytes = plane(30, of: symbols, &random)
      let stream = block.stream(bytes)
      for bit in 0..<stream.count * 8 {
        var changed = stream
        changed[bit / 8] ^= 1 << UInt8(bit % 8)
        _ = decoded([changed], bytes.count)
        _ = decoded([stream, changed], 2 * bytes.count)
      }
    }
  }

  @Test func aRefusedChunkDoesNotChangeWhatComesOfTheNext() {
    var random = SplitMix64(state: 6)
    var alignedCount = 0
    for _ in 0..<300 {
      // Neighbours with codes of equal lengths: with their repetitions, a head may have any number of bits.
      let symbols = (0...UInt8(random.next() % 60)).map { $0 }
      let block = LiteralBlock(symbols: Set(symbols), limit: 7, using: &random, usesRuns: true)
      let bytes = plane(50, of: symbols, &random)
      let stream = block.stream(bytes)
      // A stream that ends with its head, also where the head ends with a byte.
      if block.head.bitCount % 8 == 0 { alignedCount += 1 }
      for count in block.head.bitCount / 8 - 1...block.head.bitCount / 8 + 2 {
        #expect(decoded([Array(stream[..<count])], bytes.count) == nil)
        #expect(decoded([stream], bytes.count) == bytes)
        #expect(decoded([Array(stream[..<count]), stream], 2 * bytes.count) == nil)
        #expect(decoded([stream], bytes.count) == bytes)
      }
    }
    #expect(alignedCount > 5)
  }

  @Test func whatZlibWritesWithAnyStrategyDecodes() {
    let samples = [
      SampleBytes.random(3000), SampleBytes.zeros(700), SampleBytes.text(5000), [1], [1, 2],
      SampleBytes.mask(2000, oneIn: 3), SampleBytes.runs(4000, upTo: 40),
      SampleBytes.bfloat16(SampleBytes.normal(2000)),
    ]
    for bytes in samples {
      for strategy in ZlibStream.strategies {
        for level in Int32(0)...9 {
          for streamCount in [1, 2, 4, 7, 16] {
            let pieces = HandMadeChunk.pieces(of: bytes, streamCount)
            guard pieces.allSatisfy({ !$0.isEmpty }) else { continue }
            let flush = level % 2 == 0 ? Z_NO_FLUSH : Z_FULL_FLUSH
            let streams = pieces.map {
              ZlibStream.stream($0, level: level, strategy: strategy, flush: flush)
            }
            #expect(decoded(streams, bytes.count) == bytes, "strategy \(strategy), level \(level)")
          }
        }
      }
    }
  }

  @Test func literalsAndMatchesMayStandSideBySide() {
    var random = SplitMix64(state: 7)
    let (block, symbols) = block(12, &random)
    let bytes = plane(1000, of: symbols, &random)
    let pieces = HandMadeChunk.pieces(of: bytes, 4)
    for zlibs in 0..<16 {
      let streams = pieces.enumerated().map { index, piece in
        zlibs >> index & 1 == 0
          ? block.stream(piece) : ZlibStream.stream(piece, level: 6, strategy: Z_DEFAULT_STRATEGY)
      }
      #expect(decoded(streams, bytes.count) == bytes)
    }
  }
}
