internal import CheckpointCodecs
internal import CheckpointFormat

// Changes that reach beyond one field: chunks and their checksums, twins, and lengths.

extension EditableFile {
  private static let fileByteCountOffset = 776
  private static let rawByteCountMax: UInt64 = 1 << 20

  /// Where the rows of the chunk table lie.
  private var rows: [Int] {
    guard let table = section(2) else { return [] }
    return (0..<table.count / ChunkTable.entryByteCount).map {
      table.lowerBound + $0 * ChunkTable.entryByteCount
    }
  }

  private func entry(at row: Int) -> ChunkEntry {
    func field(_ offset: Int) -> UInt32 { UInt32(load(row + offset, 4)) }
    return ChunkEntry(
      frameOffset: load(row, 8), tensor: field(8), chunk: field(12), rawByteCount: field(16),
      storedByteCount: field(20), storedChecksum: field(24), rawChecksum: field(28),
      codec: CodecIdentifier(rawValue: field(32)))
  }

  /// The place of a chunk's frame and stored bytes, if they are in front of the trailer.
  private func place(of entry: ChunkEntry) -> (frame: Int, stored: Range<Int>)? {
    guard let frame = Int(exactly: entry.frameOffset), frame < trailerOffset else { return nil }
    let stored =
      frame + ChunkFrame.byteCount..<frame + ChunkFrame.byteCount
      + Int(entry.storedByteCount)
    return stored.upperBound <= trailerOffset ? (frame, stored) : nil
  }

  /// The stored bytes of one of the chunks.
  func storedBytes(of number: Int) -> Range<Int>? {
    let rows = rows
    guard !rows.isEmpty else { return nil }
    return place(of: entry(at: rows[number % rows.count]))?.stored
  }

  /// Makes the checksums of every chunk right, in its row and in its frame.
  mutating func resealChunks() {
    let save = Identifier(high: load(40, 8).byteSwapped, low: load(48, 8).byteSwapped)
    let header = CheckpointHeader.blank(
      saveIdentifier: save, chunkByteCount: Int(load(136, 4)), formatVersion: formatVersion)
    for row in rows {
      var entry = entry(at: row)
      guard let (frame, stored) = place(of: entry) else { continue }
      let identity = entry.identity(in: header)
      let bytes = Array(bytes[stored])
      entry.storedChecksum = identity.checksum(of: bytes.rawSpan)
      entry.rawChecksum = entry.storedChecksum
      if entry.codec != .stored, UInt64(entry.rawByteCount) <= Self.rawByteCountMax,
        let raw = Self.decoded(bytes, entry.codec, byteCount: Int(entry.rawByteCount))
      {
        entry.rawChecksum = identity.checksum(of: raw.rawSpan)
      }
      store(UInt64(entry.storedChecksum), 4, at: row + 24)
      store(UInt64(entry.rawChecksum), 4, at: row + 28)
      self.bytes.overwrite(at: frame, with: entry.frame(in: header).encoded)
    }
  }

  private static func decoded(
    _ stored: [UInt8], _ codec: CodecIdentifier, byteCount: Int
  ) -> [UInt8]? {
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
    defer { unsafe output.deallocate() }
    do {
      // SAFETY: the buffer lives until the end of this scope.
      unsafe try ChunkDecoder().decode(stored.rawSpan, codec: codec, into: output)
      return unsafe [UInt8](output)
    } catch {
      return nil
    }
  }

  /// Makes the front table the twin of the section, if that has kept its length.
  mutating func copyTensorTableToFront() {
    guard let table = section(0), let front = frontTable,
      front.count - FrontTable.headByteCount == table.count
    else { return }
    bytes.overwrite(
      at: front.lowerBound + FrontTable.headByteCount, with: Array(bytes[table]))
  }

  /// Gives the last of the required sections other bytes, and the file the length for them.
  mutating func replaceMetadata(with content: [UInt8]) {
    let count = load(trailerOffset + Trailer.sectionCountMax * Trailer.sectionByteCount, 4)
    guard count == SectionKind.required.count, let old = section(3),
      old.lowerBound >= CheckpointHeader.byteCount + FrontTable.headByteCount
    else { return }
    let trailer = Array(bytes[trailerOffset...])
    bytes.removeLast(bytes.count - old.lowerBound)
    bytes += content
    let byteCount = Int(Layout.fileByteCount(sectionsEnd: UInt64(bytes.count)))
    bytes.append(
      contentsOf: repeatElement(0, count: byteCount - Trailer.byteCount - bytes.count))
    bytes += trailer
    store(UInt64(content.count), 8, at: trailerOffset + 3 * Trailer.sectionByteCount + 16)
    store(UInt64(byteCount), 8, at: trailerOffset + Self.fileByteCountOffset)
  }
}
