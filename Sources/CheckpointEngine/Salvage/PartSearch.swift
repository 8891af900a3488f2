internal import CheckpointFormat
internal import CheckpointStorage

extension ChunkFrame {
  /// A frame at the start of `bytes`, if its checksum fits, as one of `versions` makes it.
  init?(salvaging bytes: RawSpan, as versions: [FormatVersion]) {
    guard bytes.byteCount >= Self.byteCount, bytes.halfWord(at: 0) == Self.magic else { return nil }
    let sealed = bytes.extracting(0..<Self.checksumOffset)
    let stored = bytes.halfWord(at: Self.checksumOffset)
    guard let version = versions.first(where: { $0.checksum(sealed) == stored }) else { return nil }
    let codec = CodecIdentifier(rawValue: bytes.halfWord(at: 4))
    guard codec == .stored || codec == version.codec, bytes.halfWord(at: 56) == 0 else {
      return nil
    }
    let saveIdentifier = Identifier(
      high: bytes.word(at: 8).byteSwapped, low: bytes.word(at: 16).byteSwapped)
    self.init(
      identity: ChunkIdentity(
        formatVersion: version, saveIdentifier: saveIdentifier, tensor: bytes.halfWord(at: 24),
        chunk: bytes.halfWord(at: 28), rawByteCount: bytes.halfWord(at: 40)),
      codec: codec, rawOffset: bytes.word(at: 32), storedByteCount: bytes.halfWord(at: 44),
      storedChecksum: bytes.halfWord(at: 48), rawChecksum: bytes.halfWord(at: 52))
  }

  var saveIdentity: SaveIdentity {
    SaveIdentity(version: identity.formatVersion, identifier: identity.saveIdentifier)
  }

  /// The row of the chunk table that this frame repeats.
  func entry(at frameOffset: UInt64) -> ChunkEntry {
    ChunkEntry(
      frameOffset: frameOffset, tensor: identity.tensor, chunk: identity.chunk,
      rawByteCount: identity.rawByteCount, storedByteCount: storedByteCount,
      storedChecksum: storedChecksum, rawChecksum: rawChecksum, codec: codec)
  }
}

/// What a search at every multiple of 64 finds in a file whose parts are not all at their places.
struct PartSearch {
  /// What the frames of one save tell of the size of its chunks.
  struct Tally {
    var frameCount = 0
    /// The raw bytes of the largest chunk.
    var rawByteCountMax = 0
    /// Raw offset divided by number: the size of a full chunk.
    var chunkByteCount: Int?
  }

  private(set) var tallies: [SaveIdentity: Tally] = [:]
  private(set) var fronts: [FrontTablePart] = []
  private(set) var trailers: [TrailerPart] = []

  /// More saves than this in one file are none that anybody wrote.
  private static let saveCountMax = 256
  /// The most front tables, and trailers, that are looked at.
  private static let candidateCountMax = 16

  init(of file: DamagedFile, progress: (UInt64) -> Void) {
    var (frontCount, trailerCount) = (0, 0)
    let magic = Trailer.magic
    let trailerMagic = magic.rawSpan.word(at: 0)
    file.forEachWindow { offset, bytes in
      var index = 0
      while bytes.byteCount - index >= ChunkFrame.byteCount {
        let part = bytes.extracting(index..<index + ChunkFrame.byteCount)
        let place = offset + UInt64(index)
        switch part.halfWord(at: 0) {
        case ChunkFrame.magic: note(part)
        case FrontTable.magic where frontCount < Self.candidateCountMax:
          frontCount += 1
          if let front = FrontTablePart(in: file, at: place) { fronts.append(front) }
        default: break
        }
        if part.word(at: ChunkFrame.byteCount - 8) == trailerMagic,
          trailerCount < Self.candidateCountMax
        {
          trailerCount += 1
          let end = place + UInt64(ChunkFrame.byteCount)
          if let trailer = TrailerPart(in: file, endingAt: end) { trailers.append(trailer) }
        }
        index += Int(Layout.alignment)
      }
      progress(offset)
    }
  }

  private mutating func note(_ bytes: RawSpan) {
    guard let frame = ChunkFrame(salvaging: bytes, as: FormatVersion.allCases) else { return }
    let identity = frame.saveIdentity
    guard tallies[identity] != nil || tallies.count < Self.saveCountMax else { return }
    var tally = tallies[identity] ?? Tally()
    tally.frameCount += 1
    tally.rawByteCountMax = max(tally.rawByteCountMax, Int(frame.identity.rawByteCount))
    if frame.identity.chunk > 0 {
      let quotient = frame.rawOffset.quotientAndRemainder(dividingBy: UInt64(frame.identity.chunk))
      let size = Int(clamping: quotient.quotient)
      if quotient.remainder == 0, ChunkGrid.isValidChunkByteCount(size) {
        tally.chunkByteCount = size
      }
    }
    tallies[identity] = tally
  }
}
