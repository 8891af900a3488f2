internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointTesting

extension FuzzTarget {
  /// The codec of planes alone: any bytes as a chunk, and any elements.
  public static let codec = FuzzTarget(
    name: "fuzz-codec", test: CodecTarget.test, mutate: CodecTarget.mutate)
}

/// What is decoded is what zlib alone makes of it, and what is encoded comes back.
enum CodecTarget {
  /// The first byte says what the rest is: elements if its lowest bit is set, otherwise a chunk.
  static func test(_ input: [UInt8]) throws -> UInt64 {
    var source = ByteSource(input)
    let flags = source.uint8()
    return flags & 1 == 0 ? try decode(&source) : try encode(Elements(&source))
  }

  // MARK: Any bytes as a chunk

  private static func decode(_ source: inout ByteSource) throws -> UInt64 {
    let rawByteCount = Int(source.uint16())
    let before = source.bytes(atMost: Int(source.uint16()))
    let stored = source.remaining()
    let decoder = ChunkDecoder()
    var digest = Digest()
    // What came before, also what was refused, must not change what comes of the next chunk.
    digest.add(try decode(before, rawByteCount, decoder)?.count ?? 0)
    let raw = try decode(stored, rawByteCount, decoder)
    digest.add(raw ?? [])
    for other in [rawByteCount - 1, rawByteCount + 8] where other >= 0 {
      digest.add(try decode(stored, other, decoder)?.count ?? 0)
    }
    try require(try decode(stored, rawByteCount, decoder) == raw, "a chunk means two things")
    return digest.value
  }

  /// Decodes by `decoder` and by zlib alone; nil if both refuse.
  private static func decode(
    _ stored: [UInt8], _ rawByteCount: Int, _ decoder: ChunkDecoder
  ) throws(Finding) -> [UInt8]? {
    let ours = decoded(stored, rawByteCount, decoder)
    let others = decoded(stored, rawByteCount, ChunkDecoder(usesZlibAlone: true))
    try require(ours == others, "our decoder and zlib's disagree")
    return ours
  }

  private static func decoded(
    _ stored: [UInt8], _ rawByteCount: Int, _ decoder: ChunkDecoder
  ) -> [UInt8]? {
    // Allocations of their own, so that AddressSanitizer sees a byte too many.
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: stored.count, alignment: 1)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: rawByteCount, alignment: 64)
    defer {
      unsafe input.deallocate()
      unsafe output.deallocate()
    }
    unsafe input.copyBytes(from: stored)
    do {
      // SAFETY: both buffers live until the end of this scope.
      unsafe try decoder.decode(
        RawSpan(_unsafeBytes: UnsafeRawBufferPointer(input)), codec: .planes, into: output)
      return unsafe [UInt8](output)
    } catch {
      return nil
    }
  }

  // MARK: Any elements

  /// Elements that an input of a few bytes stands for: planes below 4,096 bytes have no codes.
  private struct Elements {
    let dtype: DType
    let raw: [UInt8]

    init(_ source: inout ByteSource) {
      dtype = source.pick(DType.allCases)
      let shape = source.uint8()
      let number = Int(source.uint16())
      let usual = [number % 300, 4088 + number % 16, 16_376 + number % 16, number % 40_000]
      // Some are so many that the codes of planes come of samples.
      let count = shape >> 2 & 15 == 15 ? 65_530 + number % 10_000 : usual[Int(shape >> 6)]
      let pattern = source.remaining()
      let byteCount = count * dtype.byteCount
      var generator = SplitMix64(state: UInt64(number))
      switch shape & 3 {
      case 0: raw = Self.repeated(pattern, byteCount)
      case 1: raw = Self.drawn(pattern, byteCount, piecesOf: 1, &generator)
      case 2: raw = Self.drawn(pattern, byteCount, piecesOf: dtype.byteCount, &generator)
      default:
        // The same again and again, but for some places.
        var bytes = Self.repeated(Array(pattern.prefix(dtype.byteCount)), byteCount)
        for byte in pattern.dropFirst(dtype.byteCount) where !bytes.isEmpty {
          bytes[Int.random(in: bytes.indices, using: &generator)] = byte
        }
        raw = bytes
      }
    }

    private static func repeated(_ pattern: [UInt8], _ byteCount: Int) -> [UInt8] {
      guard !pattern.isEmpty else { return [UInt8](repeating: 0, count: byteCount) }
      return (0..<byteCount).map { pattern[$0 % pattern.count] }
    }

    /// Pieces of a pattern in any order: their frequencies stay as they are.
    private static func drawn(
      _ pattern: [UInt8], _ byteCount: Int, piecesOf width: Int, _ generator: inout SplitMix64
    ) -> [UInt8] {
      guard pattern.count >= width else { return repeated(pattern, byteCount) }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(byteCount)
      while bytes.count < byteCount {
        let piece = Int(generator.next() % UInt64(pattern.count / width)) * width
        bytes += pattern[piece..<piece + width]
      }
      return bytes
    }
  }

  private static func encode(_ elements: Elements) throws -> UInt64 {
    let raw = elements.raw
    let encoder = PlaneEncoder()
    guard let stored = encoded(elements, encoder) else {
      try require(encoded(elements, encoder) == nil, "elements are encoded only the second time")
      return 0
    }
    try require(
      stored.count <= Deflater.encodedByteCountMax(raw.count), "encoding did not save enough")
    try require(encoded(elements, encoder) == stored, "the same elements become other bytes")
    let decoder = ChunkDecoder()
    try require(try decode(stored, raw.count, decoder) == raw, "encoded elements are others")
    var digest = Digest()
    digest.add(stored)
    return digest.value
  }

  private static func encoded(_ elements: Elements, _ encoder: PlaneEncoder) -> [UInt8]? {
    let raw = elements.raw
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 1)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 64)
    defer {
      unsafe input.deallocate()
      unsafe output.deallocate()
    }
    unsafe input.copyBytes(from: raw)
    // SAFETY: both buffers live until the end of this scope.
    let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(input))
    guard let byteCount = encoder.plan(span, ElementLayout(elements.dtype)) else { return nil }
    let place = unsafe UnsafeMutableRawBufferPointer(rebasing: output[..<byteCount])
    unsafe encoder.write(span, into: place)
    return unsafe [UInt8](place)
  }
}
