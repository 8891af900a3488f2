package import CheckpointFormat

/// Puts a file together from its decoded parts, as docs/format.md has them lie.
package struct FileAssembly {
  package var header: CheckpointHeader
  package var tensors: TensorTable
  package var chunks: ChunkTable
  package var metadata = Metadata()

  package init(
    header: CheckpointHeader, tensors: TensorTable, chunks: ChunkTable,
    metadata: Metadata = Metadata()
  ) {
    self.header = header
    self.tensors = tensors
    self.chunks = chunks
    self.metadata = metadata
  }

  /// The whole file; `stored` gives the bytes behind a chunk's frame.
  package func bytes(stored: (ChunkEntry) -> [UInt8]) throws(FormatError) -> [UInt8] {
    var writer = ByteWriter(reservingCapacity: 2 * CheckpointHeader.byteCount)
    let headerBytes = header.encoded
    writer.append(contentsOf: headerBytes)
    let table = tensors.encoded
    let front = FrontTable.encoded(table, in: header)
    writer.append(contentsOf: front.bytes)
    for entry in chunks.entries {
      writer.pad(to: Int(entry.frameOffset))
      let frame = entry.frame(in: header)
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
          checksum: header.formatVersion.checksum(content.rawSpan)))
      writer.append(contentsOf: content)
    }
    let fileByteCount = Layout.fileByteCount(sectionsEnd: UInt64(writer.byteCount))
    writer.pad(to: Int(fileByteCount) - Trailer.byteCount)
    let checksum = header.formatVersion.checksum(
      headerBytes.rawSpan.extracting(0..<CheckpointHeader.checksumOffset))
    writer.append(
      contentsOf: Trailer(
        of: header, sections: sections, fileByteCount: fileByteCount,
        headerChecksum: checksum, frontTableChecksum: front.checksum
      ).encoded)
    return writer.bytes
  }
}
