internal import CheckpointCodecs
internal import CheckpointEngine
internal import CheckpointFormat

extension FuzzTarget {
  /// One chunk: its frame, its stored bytes, and the decoder of every codec.
  public static let chunk = FuzzTarget(
    name: "fuzz-chunk", test: ChunkTarget.test, mutate: ChunkTarget.mutate)
}

/// A chunk decodes to exactly what it should, or is refused; a file that holds it says the same.
enum ChunkTarget {
  /// What an input says of its chunk.
  struct Sample {
    static let headByteCount = 7

    var codec: CodecIdentifier
    /// Whether the checksums are those of other bytes.
    var hasWrongStoredChecksum: Bool
    var hasWrongRawChecksum: Bool
    var isEncodedAgain: Bool
    var rawByteCount: Int
    /// A change of one byte of the frame.
    var frameOffset: Int
    var framePatch: UInt8
    var chunkByteCount: Int
    var stored: [UInt8]

    init(_ input: [UInt8]) {
      var source = ByteSource(input)
      let flags = source.uint8()
      codec = CodecIdentifier(rawValue: UInt32(flags & 3))
      hasWrongStoredChecksum = flags & 0x1c == 0x04
      hasWrongRawChecksum = flags & 0x1c == 0x08
      isEncodedAgain = flags & 0xe0 == 0
      rawByteCount = Int(source.uint16())
      frameOffset = source.below(ChunkFrame.byteCount)
      framePatch = source.uint8()
      chunkByteCount = source.pick([1 << 16, 64, 128, 4096])
      _ = source.uint8()
      stored = source.remaining()
    }
  }

  static func test(_ input: [UInt8]) throws -> UInt64 {
    let sample = Sample(input)
    var digest = Digest()
    let raw = decode(sample.stored, sample.codec, sample.rawByteCount)
    if let raw {
      digest.add(raw)
      let most = ChunkDecoder.rawByteCountMax(
        storedByteCount: UInt32(sample.stored.count), codec: sample.codec)
      try require(UInt64(raw.count) <= most, "more bytes than were thought possible")
      if sample.isEncodedAgain {
        // A stream has one length; a constant plane may have any.
        let others = sample.codec == .planes ? [] : [raw.count - 1, raw.count + 1]
        for other in others where other >= 0 {
          try require(
            decode(sample.stored, sample.codec, other) == nil, "a stream has two lengths")
        }
        digest.add(try encodeAgain(raw))
      }
    }
    if sample.isEncodedAgain { digest.add(try encodeAgain(sample.stored)) }
    digest.add(try checkFile(sample, raw))
    return digest.value
  }

  private static func decode(
    _ stored: [UInt8], _ codec: CodecIdentifier, _ rawByteCount: Int
  ) -> [UInt8]? {
    // An allocation of its own, so that AddressSanitizer sees a byte too many.
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: rawByteCount, alignment: 64)
    defer { unsafe output.deallocate() }
    do {
      // SAFETY: the buffer lives until the end of this scope.
      unsafe try ChunkDecoder().decode(stored.rawSpan, codec: codec, into: output)
      return unsafe [UInt8](output)
    } catch {
      return nil
    }
  }

  private static func encodeAgain(_ raw: [UInt8]) throws(Finding) -> Int {
    guard let stored = encoded(raw) else { return 0 }
    try require(
      stored.count <= Deflater.encodedByteCountMax(raw.count), "encoding did not save enough")
    try require(decode(stored, .deflate, raw.count) == raw, "encoded bytes decode to others")
    return stored.count
  }

  static func encoded(_ raw: [UInt8]) -> [UInt8]? {
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 64)
    defer { unsafe output.deallocate() }
    // SAFETY: the buffer lives until the end of this scope.
    guard let count = unsafe Deflater().encode(raw.rawSpan, into: output) else { return nil }
    return unsafe [UInt8](output[..<count])
  }

  // MARK: In a file

  /// Puts the chunk into a file and requires that the reader says of it what is the case.
  private static func checkFile(_ sample: Sample, _ raw: [UInt8]?) throws -> Int {
    let header = CheckpointHeader.blank(
      chunkByteCount: sample.chunkByteCount,
      formatVersion: sample.codec == .deflate ? .v1 : .v2)
    let isStored = sample.codec == .stored
    let rawByteCount = isStored ? sample.stored.count : sample.rawByteCount
    guard rawByteCount > 0, rawByteCount <= sample.chunkByteCount else { return 0 }
    var entry = ChunkEntry(
      frameOffset: 0, tensor: 0, chunk: 0, rawByteCount: UInt32(rawByteCount),
      storedByteCount: UInt32(sample.stored.count), storedChecksum: 0, rawChecksum: 0,
      codec: sample.codec)
    let identity = entry.identity(in: header)
    entry.storedChecksum = identity.checksum(of: sample.stored.rawSpan)
    if sample.hasWrongStoredChecksum { entry.storedChecksum ^= 1 }
    entry.rawChecksum =
      isStored ? entry.storedChecksum : raw.map { identity.checksum(of: $0.rawSpan) } ?? 0
    if sample.hasWrongRawChecksum { entry.rawChecksum ^= 1 }

    var tensors = TensorTable(grid: ChunkGrid(chunkByteCount: sample.chunkByteCount))
    try tensors.append(TensorDescriptor(name: "t", dtype: .uint8, shape: [rawByteCount]))
    entry.frameOffset = FrontTable.endOffset(tableByteCount: UInt64(tensors.encoded.count))
    var chunks = ChunkTable()
    chunks.append(entry)
    var bytes = try FileAssembly(header: header, tensors: tensors, chunks: chunks)
      .bytes { _ in sample.stored }
    bytes[Int(entry.frameOffset) + sample.frameOffset] ^= sample.framePatch

    let isPossible =
      isStored
      ? !sample.hasWrongRawChecksum
      : !sample.stored.isEmpty && sample.stored.count < rawByteCount
        && (sample.codec == .planes && sample.stored.count >= 9
          || sample.codec == .deflate && rawByteCount <= sample.stored.count * 1032)
    guard let reader = try? FileInMemory(bytes).open() else {
      try require(!isPossible, "a chunk that may be is refused")
      return 1
    }
    try require(isPossible, "an impossible chunk is accepted")
    try checkReader(reader, sample, raw: isStored ? sample.stored : raw)
    return 2
  }

  private static func checkReader(
    _ reader: CheckpointReader, _ sample: Sample, raw: [UInt8]?
  ) throws(Finding) {
    let isReadable = raw != nil && !sample.hasWrongStoredChecksum && !sample.hasWrongRawChecksum
    let read = try? reader.read("t")
    try require(read == (isReadable ? raw : nil), "a chunk is read as it is not")
    let isFrameIntact = sample.framePatch == 0
    try require(
      reader.verify(.full).isIntact == (isReadable && isFrameIntact),
      "full verification says of a chunk what is not the case")
    try require(
      reader.verify(.stored).isIntact == (isFrameIntact && !sample.hasWrongStoredChecksum),
      "verification of stored bytes says of a chunk what is not the case")
  }

  // MARK: Mutation

  static func mutate(_ input: inout [UInt8], _ source: inout MutationSource) {
    let headByteCount = Sample.headByteCount
    if input.count <= headByteCount || source.chance(15) {
      return source.mutate(&input, atMost: source.byteCountMax)
    }
    var stored = Array(input[headByteCount...])
    let capacity = max(source.byteCountMax - headByteCount, 0)
    switch source.below(8) {
    case 0, 1:
      // A stream of libFuzzer's bytes, whole, so that damage to streams begins with intact ones.
      source.mutate(&stored, atMost: capacity)
      var raw = stored
      for _ in 0..<source.below(6) where raw.count < 8192 { raw += raw }
      guard let stream = encoded(raw), stream.count <= capacity else { break }
      input[0] = input[0] & 0xe0 | 1
      input.overwrite(at: 1, with: littleEndian(UInt16(clamping: raw.count)))
      stored = stream
    case 2:
      source.mutate(0..<headByteCount, of: &input)
    case 3:
      // The right length for bytes that are stored as they are.
      input[0] &= 0xe0
      input.overwrite(at: 1, with: littleEndian(UInt16(clamping: stored.count)))
    default:
      source.mutate(&stored, atMost: capacity)
    }
    input.replaceSubrange(headByteCount..., with: stored)
  }
}
