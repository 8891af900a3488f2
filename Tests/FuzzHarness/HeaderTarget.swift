internal import CheckpointEngine
internal import CheckpointFormat

extension FuzzTarget {
  /// The first 4,096 bytes of a file.
  public static let header = FuzzTarget(
    name: "fuzz-header", test: HeaderTarget.test, mutate: HeaderTarget.mutate)
}

/// File start and header: what decodes is the only encoding of its meaning.
enum HeaderTarget {
  private static let byteCountMax = CheckpointHeader.byteCount + 256

  static func test(_ input: [UInt8]) throws -> UInt64 {
    let bytes = SparseBytes.expanded(input, atMost: byteCountMax)
    var digest = Digest()
    do {
      let start = try FileStart(decoding: bytes.rawSpan)
      try require(
        start.encoded == Array(bytes.prefix(FileStart.byteCount)), "a file start is not its own")
      try checkTexts(start.saveIdentifier)
      _ = try start.supportedVersion()
      digest.add(start.generation)
    } catch let error as FormatError {
      digest.add(error)
      try require(decode(bytes, .default) == nil, "a header behind a refused file start")
    }
    let strict = decode(bytes, .strict)
    guard let header = decode(bytes, .default) else {
      try require(strict == nil, "strict limits accept what the default ones refuse")
      return digest.value
    }
    try require(strict == nil || strict == header, "limits change what is read")
    try require(
      header.encoded == Array(bytes.prefix(CheckpointHeader.byteCount)), "a header is not its own")
    try checkName(header.writer)
    digest.add(header.step)
    digest.add(header.branchPoints.count)
    return digest.value
  }

  private static func decode(_ bytes: [UInt8], _ limits: Limits) -> CheckpointHeader? {
    try? CheckpointHeader(decoding: bytes.rawSpan, limits: limits)
  }

  private static func checkTexts(_ identifier: Identifier) throws(Finding) {
    try require(Identifier(identifier.description) == identifier, "an identifier's text is not it")
  }

  /// A name that is taken for one of ours is spelled as we spell it.
  private static func checkName(_ text: String) throws(Finding) {
    guard let name = CheckpointName(text) else { return }
    try require(name.text.hasSameBytes(as: text), "'\(text)' reads as '\(name.text)'")
  }

  static func mutate(_ input: inout [UInt8], _ source: inout MutationSource) {
    if source.chance(10) { return source.mutate(&input, atMost: source.byteCountMax) }
    var bytes = SparseBytes.expanded(input, atMost: byteCountMax)
    if bytes.count < FileStart.byteCount || source.chance(1), let file = source.savedFile() {
      bytes = Array(file.prefix(CheckpointHeader.byteCount))
    }
    if bytes.count < CheckpointHeader.byteCount {
      bytes.append(contentsOf: repeatElement(0, count: CheckpointHeader.byteCount - bytes.count))
    }
    for _ in 0...source.below(3) {
      let writer = CheckpointHeader.writerOffset
      let place = source.pick([
        0..<FileStart.byteCount, FileStart.byteCount..<writer, 112..<writer,
        writer..<writer + CheckpointHeader.writerByteCountMax,
        CheckpointHeader.branchPointOffset..<CheckpointHeader.branchPointOffset + 128,
        writer..<CheckpointHeader.checksumOffset,
      ])
      source.mutate(place, of: &bytes)
    }
    if source.chance(95) { bytes.overwrite(at: 0, with: FileStart.magic) }
    let version = EditableFile(bytes).formatVersion
    if source.chance(95) { bytes.seal(at: FileStart.checksumOffset, as: .v1) }
    if source.chance(95) { bytes.seal(at: CheckpointHeader.checksumOffset, as: version) }
    input = SparseBytes.compacted(bytes)
  }
}
