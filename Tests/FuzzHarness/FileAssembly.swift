internal import CheckpointFormat

/// Puts a file together from its decoded parts, as docs/format.md has them lie.
struct FileAssembly {
  var header: CheckpointHeader
  var tensors: TensorTable
  var chunks: ChunkTable
  var metadata = Metadata()

  /// The whole file; `stored` gives the bytes behind a chunk's frame.
  func bytes(stored: (ChunkEntry) -> [UInt8]) throws(FormatError) -> [UInt8] {
    var writer = ByteWriter(reservingCapacity: 2 * CheckpointHeader.byteCount)
    let headerBytes = header.encoded
    writer.append(contentsOf: headerBytes)
    let table = tensors.encoded
    let front = FrontTable.encoded(table, saveIdentifier: header.saveIdentifier)
    writer.append(contentsOf: front.bytes)
    for entry in chunks.entries {
      writer.pad(to: Int(entry.frameOffset))
      let frame = entry.frame(in: header.saveIdentifier, grid: tensors.grid)
      writer.append(contentsOf: frame.encoded)
      writer.append(contentsOf: stored(entry))
    }
    var sections: [Section] = []
    for (kind, content) in [
      (.tensorTable, table), (.nameOrder, try NameOrder(of: tensors).encoded),
      (.chunkTable, chunks.encoded), (.metadata, try metadata.encoded()),
    ] as [(SectionKind, [UInt8])] {
      writer.align(to: Int(Layout.alignment))
      sections.append(
        Section(
          kind: kind, offset: UInt64(writer.byteCount), byteCount: UInt64(content.count),
          checksum: CRC32.checksum(content.rawSpan)))
      writer.append(contentsOf: content)
    }
    let fileByteCount = Layout.fileByteCount(sectionsEnd: UInt64(writer.byteCount))
    writer.pad(to: Int(fileByteCount) - Trailer.byteCount)
    let checksum = CRC32.checksum(
      headerBytes.rawSpan.extracting(0..<CheckpointHeader.checksumOffset))
    writer.append(
      contentsOf: Trailer(
        sections: sections, fileByteCount: fileByteCount, saveIdentifier: header.saveIdentifier,
        headerChecksum: checksum, frontTableChecksum: front.checksum
      ).encoded)
    return writer.bytes
  }
}
