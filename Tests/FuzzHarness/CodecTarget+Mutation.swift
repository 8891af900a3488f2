internal import CheckpointTesting

extension CodecTarget {
  private static let headByteCount = 5

  static func mutate(_ input: inout [UInt8], _ source: inout MutationSource) {
    if input.count <= headByteCount || source.chance(10) {
      return source.mutate(&input, atMost: source.byteCountMax)
    }
    if source.chance(25) {
      // Planes of one chunk, and chunks one behind the other, may well have the same code.
      let shared = block(&source)
      let (chunk, rawByteCount) = chunk(shared, &source)
      let before = source.chance(40) ? beginning(shared, &source) : []
      guard headByteCount + before.count + chunk.count <= source.byteCountMax else { return }
      input = [0] + littleEndian(UInt16(rawByteCount)) + littleEndian(UInt16(before.count))
      input += before + chunk
      return
    }
    if source.chance(15) { return source.mutate(0..<headByteCount, of: &input) }
    var rest = Array(input[headByteCount...])
    if source.chance(30) {
      // A bit here and there: what is written in codes goes wrong otherwise at once.
      for _ in 0...source.below(3) where !rest.isEmpty {
        rest[source.below(rest.count)] ^= 1 << UInt8(source.below(8))
      }
    } else {
      source.mutate(&rest, atMost: max(0, source.byteCountMax - headByteCount))
    }
    input.replaceSubrange(headByteCount..., with: rest)
  }

  /// An intact chunk, and how many bytes it stands for.
  private static func chunk(
    _ shared: LiteralBlock, _ source: inout MutationSource
  ) -> ([UInt8], Int) {
    let width = source.pick([1, 1, 1, 2, 2, 4, 8])
    let count = 1 + source.below(source.pick([8, 100, 700, 2000]) / width)
    let planes = (0..<width).map { _ -> HandMadeChunk.Plane in
      switch source.below(width == 1 ? 7 : 12) {
      case 0: return .stored(bytes(count, of: Set(0...255), &source))
      case 1, 7..<12: return .constant(UInt8(source.below(256)))
      default:
        let block = source.chance(70) ? shared : block(&source)
        let symbols = Set((0..<256).filter { block.lengths[$0] > 0 }.map { UInt8($0) })
        let plane = bytes(count, of: symbols, &source)
        var streamCount = source.pick([1, 4, 4, 4, 2, 16])
        let pieceByteCount = (count + streamCount - 1) / streamCount
        if (streamCount - 1) * pieceByteCount >= count { streamCount = 1 }
        return .streams(
          HandMadeChunk.pieces(of: plane, streamCount).map {
            stream($0, block, &source)
          })
      }
    }
    let isRotated = width > 1 && source.chance(50)
    return (HandMadeChunk(isRotated: isRotated, planes).bytes, count * width)
  }

  /// A chunk whose only stream ends with its head, or a few bytes before or behind that.
  private static func beginning(
    _ block: LiteralBlock, _ source: inout MutationSource
  ) -> [UInt8] {
    let count = block.head.bitCount / 8 - 1 + source.below(4)
    return HandMadeChunk([.streams([Array(block.stream([]).prefix(count))])]).bytes
  }

  private static func block(_ source: inout MutationSource) -> LiteralBlock {
    let symbolCount = source.pick([1, 2, 3, 5, 17, 60, 256])
    // Beyond 11 bits zlib has to help.
    let limit = source.pick([11, 11, 11, 12, 15])
    let symbols = Set((0..<symbolCount).map { _ in UInt8(source.below(256)) })
    return LiteralBlock(
      symbols: symbols, limit: limit, using: &source.generator, usesRuns: source.chance(90))
  }

  private static func bytes(
    _ count: Int, of symbols: Set<UInt8>, _ source: inout MutationSource
  ) -> [UInt8] {
    let symbols = symbols.sorted()
    return (0..<count).map { _ in source.pick(symbols) }
  }

  /// A stream of literals, or now and then what zlib makes of the bytes.
  private static func stream(
    _ bytes: [UInt8], _ block: LiteralBlock, _ source: inout MutationSource
  ) -> [UInt8] {
    if source.chance(8), let stream = ChunkTarget.encoded(bytes) { return stream }
    return block.stream(bytes, filling: source.below(256))
  }
}
