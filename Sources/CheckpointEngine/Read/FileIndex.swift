internal import CheckpointCodecs
package import CheckpointFormat

#if Mutants
  internal import CheckpointMutants
#endif

/// Everything of a file but its chunks, read and checked.
package struct FileIndex: Sendable {
  package let header: CheckpointHeader
  package let trailer: Trailer
  package let tensors: TensorTable
  package let nameOrder: NameOrder
  package let chunks: ChunkTable
  package let metadata: Metadata
  /// From the first frame to the first section.
  package let chunkRegion: Range<UInt64>

  /// Reads and checks the header, the trailer and the sections.
  ///
  /// - Complexity: O(index), seven reads.
  package init(reading file: OpenFile, limits: Limits) throws(CheckpointError) {
    header = try Self.header(of: file, limits: limits)
    trailer = try Self.trailer(of: file, header.formatVersion, limits: limits)
    let table = try Self.section(.tensorTable, trailer, file)
    let order = try Self.section(.nameOrder, trailer, file)
    let chunkTable = try Self.section(.chunkTable, trailer, file)
    let values = try Self.section(.metadata, trailer, file)
    let frontHead = try file.read(FrontTable.headByteCount, at: Layout.frontTableOffset)
    do throws(FormatError) {
      try Self.requireTwins(header, trailer, frontHead: frontHead, tableByteCount: table.count)
      tensors = try TensorTable(
        decoding: table, at: trailer.section(.tensorTable).offset,
        grid: ChunkGrid(chunkByteCount: header.chunkByteCount), limits: limits)
      nameOrder = try NameOrder(
        decoding: order.rawSpan, at: trailer.section(.nameOrder).offset, of: tensors)
      chunkRegion = try trailer.chunkRegion(frontTableByteCount: UInt64(table.count))
      chunks = try ChunkTable(
        decoding: chunkTable.rawSpan, at: trailer.section(.chunkTable).offset, of: tensors,
        filling: chunkRegion, version: header.formatVersion)
      try Self.requireDecodable(chunks, at: trailer.section(.chunkTable).offset)
      metadata = try Metadata(
        decoding: values.rawSpan, at: trailer.section(.metadata).offset, limits: limits)
    } catch {
      throw CheckpointError(in: file.path, error)
    }
  }

  /// Reads the header alone.
  package static func header(
    of file: OpenFile, limits: Limits = .default
  ) throws(CheckpointError) -> CheckpointHeader {
    let byteCount = min(CheckpointHeader.byteCount, Int(clamping: file.byteCount))
    let bytes = try file.read(byteCount, at: 0)
    do {
      return try CheckpointHeader(decoding: bytes.rawSpan, limits: limits)
    } catch {
      throw CheckpointError(in: file.path, error)
    }
  }

  private static func trailer(
    of file: OpenFile, _ version: FormatVersion, limits: Limits
  ) throws(CheckpointError) -> Trailer {
    let trailerByteCount = UInt64(Trailer.byteCount)
    guard file.byteCount >= Layout.frontTableOffset + trailerByteCount else {
      throw CheckpointError(in: file.path, FormatError(.incomplete, at: file.byteCount))
    }
    let bytes = try file.read(Trailer.byteCount, at: file.byteCount - trailerByteCount)
    do {
      return try Trailer(
        decoding: bytes.rawSpan, fileByteCount: file.byteCount, version: version, limits: limits)
    } catch {
      throw CheckpointError(in: file.path, error)
    }
  }

  /// Reads a section and checks its checksum; the trailer has limited its size.
  package static func section(
    _ kind: SectionKind, _ trailer: Trailer, _ file: OpenFile
  ) throws(CheckpointError) -> [UInt8] {
    let section = trailer.section(kind)
    let bytes = try file.read(Int(section.byteCount), at: section.offset)
    try checkChecksum(section, bytes, trailer.formatVersion, file)
    return bytes
  }

  package static func checkChecksum(
    _ section: Section, _ bytes: [UInt8], _ version: FormatVersion, _ file: OpenFile
  ) throws(CheckpointError) {
    #if Mutants
      if Mutant.isActive(.sectionChecksumUnchecked) { return }
    #endif
    let computed = version.checksum(bytes.rawSpan)
    guard computed == section.checksum else {
      throw CheckpointError(
        in: file.path,
        FormatError(
          .checksumMismatch(.section, stored: section.checksum, computed: computed),
          at: section.offset))
    }
  }

  /// No chunk claims more than its stored bytes can decode to.
  ///
  /// That bounds what a deflated chunk is given memory for. Planes may be constant: of theirs, only the size
  /// of a chunk is bounded, and whoever asks for a whole tensor asks ``Memory`` first.
  private static func requireDecodable(
    _ chunks: ChunkTable, at base: UInt64
  ) throws(FormatError) {
    for (number, entry) in chunks.entries.enumerated()
    where entry.rawByteCount != entry.storedByteCount {
      let limit = ChunkDecoder.rawByteCountMax(
        storedByteCount: entry.storedByteCount, codec: entry.codec)
      guard entry.rawByteCount <= limit else {
        throw FormatError(
          .inconsistent("a chunk that cannot decode to so many bytes"),
          at: base + UInt64(number * ChunkTable.entryByteCount))
      }
    }
  }

  /// What stands in two places must be the same in both.
  private static func requireTwins(
    _ header: CheckpointHeader, _ trailer: Trailer, frontHead: [UInt8], tableByteCount: Int
  ) throws(FormatError) {
    let front = try FrontTable.decodeHead(frontHead.rawSpan)
    guard trailer.saveIdentifier == header.saveIdentifier,
      front.saveIdentifier == header.saveIdentifier, trailer.headerChecksum == header.checksum,
      trailer.frontTableChecksum == front.checksum, front.tableByteCount == UInt64(tableByteCount)
    else {
      throw FormatError(
        .inconsistent("header, front table and trailer are of different saves"), at: 0)
    }
  }
}
