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
    var bytes = ByteWriter(reservingCapacity: entries.count * Self.entryByteCount)
    for entry in entries {
      bytes.append(entry.frameOffset)
      bytes.append(entry.tensor)
      bytes.append(entry.chunk)
      bytes.append(entry.rawByteCount)
      bytes.append(entry.storedByteCount)
      bytes.append(entry.storedChecksum)
      bytes.append(entry.rawChecksum)
      bytes.append(entry.codec.rawValue)
      bytes.append(UInt32(0))
    }
    return bytes.bytes
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
    var reader = ByteReader(bytes, at: base)
    var frameOffset = region.lowerBound
    for (number, tensor) in tensors.entries.enumerated() where tensor.aliasOf == nil {
      for chunk in 0..<tensor.chunkCount {
        let entry = try Self.decodeEntry(
          &reader, tensor: number, chunk: chunk, frameOffset: frameOffset,
          rawByteCount: tensors.grid.rawByteCount(chunk: chunk, of: tensor.byteCount),
          version: version)
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

  /// Reads one row and checks everything that follows from the tensor table.
  private static func decodeEntry(
    _ reader: inout ByteReader, tensor: Int, chunk: Int, frameOffset: UInt64, rawByteCount: Int,
    version: FormatVersion
  ) throws(FormatError) -> ChunkEntry {
    let offset = reader.fileOffset
    let entry = ChunkEntry(
      frameOffset: try reader.read(UInt64.self), tensor: try reader.read(UInt32.self),
      chunk: try reader.read(UInt32.self), rawByteCount: try reader.read(UInt32.self),
      storedByteCount: try reader.read(UInt32.self), storedChecksum: try reader.read(UInt32.self),
      rawChecksum: try reader.read(UInt32.self),
      codec: CodecIdentifier(rawValue: try reader.read(UInt32.self)))
    try reader.skipZeros(4)
    guard entry.frameOffset == frameOffset, Int(entry.tensor) == tensor,
      Int(entry.chunk) == chunk, Int(entry.rawByteCount) == rawByteCount
    else { throw FormatError(.inconsistent("a chunk out of its place"), at: offset) }
    guard version.codecs.contains(entry.codec) else {
      throw FormatError(.inconsistent("unknown codec"), at: offset)
    }
    if entry.codec == .stored {
      guard entry.storedByteCount == entry.rawByteCount,
        entry.storedChecksum == entry.rawChecksum
      else { throw FormatError(.inconsistent("a stored chunk that seems encoded"), at: offset) }
    } else {
      guard entry.storedByteCount > 0, entry.storedByteCount < entry.rawByteCount else {
        throw FormatError(.inconsistent("an encoded chunk that is no smaller"), at: offset)
      }
    }
    return entry
  }
}
