/// One row of the chunk table.
package struct ChunkEntry: Hashable, Sendable {
  /// The frame's place, in bytes from the start of the file.
  package var frameOffset: UInt64
  package var tensor: UInt32
  package var chunk: UInt32
  package var rawByteCount: UInt32
  package var storedByteCount: UInt32
  package var storedChecksum: UInt32
  package var rawChecksum: UInt32
  package var codec: CodecIdentifier

  package init(
    frameOffset: UInt64, tensor: UInt32, chunk: UInt32, rawByteCount: UInt32,
    storedByteCount: UInt32, storedChecksum: UInt32, rawChecksum: UInt32, codec: CodecIdentifier
  ) {
    self.frameOffset = frameOffset
    self.tensor = tensor
    self.chunk = chunk
    self.rawByteCount = rawByteCount
    self.storedByteCount = storedByteCount
    self.storedChecksum = storedChecksum
    self.rawChecksum = rawChecksum
    self.codec = codec
  }

  /// Where the stored bytes begin, behind the frame.
  package var storedOffset: UInt64 { frameOffset + UInt64(ChunkFrame.byteCount) }

  /// Where the next frame or the first section begins.
  package var endOffset: UInt64 {
    frameOffset + Layout.frameStride(storedByteCount: Int(storedByteCount))
  }

  package func identity(in header: CheckpointHeader) -> ChunkIdentity {
    ChunkIdentity(in: header, tensor: tensor, chunk: chunk, rawByteCount: rawByteCount)
  }

  /// The frame that stands in front of this chunk.
  package func frame(in header: CheckpointHeader) -> ChunkFrame {
    ChunkFrame(
      identity: identity(in: header), codec: codec,
      rawOffset: UInt64(chunk) * UInt64(header.chunkByteCount), storedByteCount: storedByteCount,
      storedChecksum: storedChecksum, rawChecksum: rawChecksum)
  }
}

/// Every chunk of a file, in file order: by tensor in the order of saving, then by chunk.
///
/// - SeeAlso: docs/format.md, section 8.3.
package struct ChunkTable: Hashable, Sendable {
  package static let entryByteCount = 40

  package private(set) var entries: [ChunkEntry] = []

  package init() {}

  package mutating func append(_ entry: ChunkEntry) { entries.append(entry) }

  package var encoded: [UInt8] {
    // An array without capacity is one that all threads share, and its count would be written.
    guard !entries.isEmpty else { return [] }
    let byteCount = entries.count * Self.entryByteCount
    return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      // SAFETY: the rows are checked against the buffer, and together initialise what is counted.
      let bytes = unsafe UnsafeMutableRawBufferPointer(
        start: buffer.baseAddress, count: byteCount)
      for (number, entry) in entries.enumerated() {
        unsafe entry.encode(into: bytes, at: number * Self.entryByteCount)
      }
      count = byteCount
    }
  }

  /// Reads the table and proves, in one pass, that the chunks fill `region` without a gap.
  package init(
    decoding bytes: RawSpan, at base: UInt64, of tensors: TensorTable,
    filling region: Range<UInt64>, version: FormatVersion
  ) throws(FormatError) {
    guard bytes.byteCount == tensors.chunkCount * Self.entryByteCount else {
      throw FormatError(.inconsistent("length of the chunk table"), at: base)
    }
    entries.reserveCapacity(tensors.chunkCount)
    var frameOffset = region.lowerBound
    for (number, tensor) in tensors.records.enumerated()
    where tensor.alias == TensorTable.notAnAlias {
      for chunk in 0..<tensor.chunkCount {
        let offset = entries.count * Self.entryByteCount
        let expected = Place(
          frameOffset: frameOffset, tensor: UInt32(number), chunk: chunk,
          rawByteCount: UInt32(
            tensors.grid.rawByteCount(chunk: Int(chunk), of: tensor.byteCount)))
        let entry = ChunkEntry(decoding: bytes, at: offset)
        try expected.check(entry, bytes, at: offset, base, version)
        frameOffset = entry.endOffset
        guard frameOffset <= region.upperBound else {
          throw FormatError(.inconsistent("a chunk reaches into the sections"), at: base)
        }
        entries.append(entry)
      }
    }
    guard frameOffset == region.upperBound else {
      throw FormatError(.inconsistent("a gap between the chunks and the sections"), at: frameOffset)
    }
  }

  /// What follows for a row from the tensor table and the rows before it.
  private struct Place {
    let frameOffset: UInt64
    let tensor: UInt32
    let chunk: UInt32
    let rawByteCount: UInt32

    /// Checks the row that was read at `offset` of the table.
    func check(
      _ entry: ChunkEntry, _ bytes: RawSpan, at offset: Int, _ base: UInt64,
      _ version: FormatVersion
    ) throws(FormatError) {
      if bytes.littleEndianHalfWord(at: offset + 36) != 0 {
        // Says which of the four it is.
        var reserved = ByteReader(
          bytes.extracting(offset + 36..<offset + ChunkTable.entryByteCount),
          at: base + UInt64(offset) + 36)
        try reserved.skipZeros(4)
      }
      guard entry.frameOffset == frameOffset, entry.tensor == tensor, entry.chunk == chunk,
        entry.rawByteCount == rawByteCount
      else { throw failure("a chunk out of its place", offset, base) }
      guard entry.codec == .stored || entry.codec == version.codec else {
        throw failure("unknown codec", offset, base)
      }
      if entry.codec == .stored {
        guard entry.storedByteCount == entry.rawByteCount,
          entry.storedChecksum == entry.rawChecksum
        else { throw failure("a stored chunk that seems encoded", offset, base) }
      } else {
        guard entry.storedByteCount > 0, entry.storedByteCount < entry.rawByteCount else {
          throw failure("an encoded chunk that is no smaller", offset, base)
        }
      }
    }

    private func failure(_ what: StaticText, _ offset: Int, _ base: UInt64) -> FormatError {
      FormatError(.inconsistent(what), at: base + UInt64(offset))
    }
  }
}

extension ChunkEntry {
  /// The row at `offset` of a table, whatever it says.
  fileprivate init(decoding bytes: RawSpan, at offset: Int) {
    frameOffset = bytes.littleEndianWord(at: offset)
    tensor = bytes.littleEndianHalfWord(at: offset + 8)
    chunk = bytes.littleEndianHalfWord(at: offset + 12)
    rawByteCount = bytes.littleEndianHalfWord(at: offset + 16)
    storedByteCount = bytes.littleEndianHalfWord(at: offset + 20)
    storedChecksum = bytes.littleEndianHalfWord(at: offset + 24)
    rawChecksum = bytes.littleEndianHalfWord(at: offset + 28)
    codec = CodecIdentifier(rawValue: bytes.littleEndianHalfWord(at: offset + 32))
  }

  fileprivate func encode(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
    // SAFETY: each store is checked against the buffer's length.
    unsafe buffer.store(frameOffset, at: offset)
    unsafe buffer.store(tensor, at: offset + 8)
    unsafe buffer.store(chunk, at: offset + 12)
    unsafe buffer.store(rawByteCount, at: offset + 16)
    unsafe buffer.store(storedByteCount, at: offset + 20)
    unsafe buffer.store(storedChecksum, at: offset + 24)
    unsafe buffer.store(rawChecksum, at: offset + 28)
    unsafe buffer.store(codec.rawValue, at: offset + 32)
    unsafe buffer.store(UInt32(0), at: offset + 36)
  }
}
