package import CheckpointFormat

/// A checkpoint file whose fields are changed one by one and whose checksums are then made right
/// again: what somebody would write who wants to break the reader.
package struct EditableFile {
  package var bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The version that the file start states, or the newest if it is none that there is.
  package var formatVersion: FormatVersion {
    FormatVersion(rawValue: UInt32(load(12, 4))) ?? .current
  }

  package var trailerOffset: Int { bytes.count - Trailer.byteCount }
  private static let directoryByteCount = Trailer.sectionCountMax * Trailer.sectionByteCount

  package func load(_ offset: Int, _ width: Int) -> UInt64 {
    (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * $1) }
  }

  package mutating func store(_ value: UInt64, _ width: Int, at offset: Int) {
    for index in 0..<width {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }

  /// The place of a section, if its row of the directory makes sense.
  package func section(_ number: Int) -> Range<Int>? {
    let row = trailerOffset + number * Trailer.sectionByteCount
    guard let offset = Int(exactly: load(row + 8, 8)), let count = Int(exactly: load(row + 16, 8)),
      offset <= trailerOffset, count <= trailerOffset - offset
    else { return nil }
    return offset..<offset + count
  }

  /// The front table without its padding, if its length makes sense.
  package var frontTable: Range<Int>? {
    let start = CheckpointHeader.byteCount
    guard let count = Int(exactly: load(start + 8, 8)),
      count <= trailerOffset - start - FrontTable.headByteCount
    else { return nil }
    return start..<start + FrontTable.headByteCount + count
  }

  /// The parts that hold fields: header, front table, sections and trailer.
  package var places: [Range<Int>] {
    var places = (0..<4).compactMap { section($0) }.filter { !$0.isEmpty }
    places.append(FileStart.byteCount..<CheckpointHeader.checksumOffset)
    places.append(trailerOffset..<trailerOffset + Trailer.checksumOffset)
    places.append(trailerOffset..<trailerOffset + 4 * Trailer.sectionByteCount)
    if let table = frontTable { places.append(table) }
    return places
  }

  /// Makes every checksum outside the chunks right.
  package mutating func reseal() {
    sealChecksum(0..<FileStart.checksumOffset, at: FileStart.checksumOffset, as: .v1)
    sealChecksum(0..<CheckpointHeader.checksumOffset, at: CheckpointHeader.checksumOffset)
    let fields = trailerOffset + Self.directoryByteCount
    store(load(CheckpointHeader.checksumOffset, 4), 4, at: fields + 32)
    if let table = frontTable {
      sealChecksum(table.lowerBound + 8..<table.upperBound, at: table.lowerBound + 4)
      store(load(table.lowerBound + 4, 4), 4, at: fields + 36)
    }
    for number in 0..<Trailer.sectionCountMax {
      guard let section = section(number), load(fields, 4) > number else { continue }
      sealChecksum(section, at: trailerOffset + number * Trailer.sectionByteCount + 24)
    }
    sealChecksum(
      trailerOffset..<trailerOffset + Trailer.checksumOffset,
      at: trailerOffset + Trailer.checksumOffset)
  }

  private mutating func sealChecksum(
    _ range: Range<Int>, at offset: Int, as version: FormatVersion? = nil
  ) {
    let checksum = (version ?? formatVersion).checksum(bytes.rawSpan.extracting(range))
    store(UInt64(checksum), 4, at: offset)
  }

  /// Replaces every occurrence of some bytes by as many others.
  package mutating func replaceEverywhere(_ old: [UInt8], with new: [UInt8]) {
    precondition(old.count == new.count)
    for offset in 0...(bytes.count - old.count) where bytes[offset...].starts(with: old) {
      bytes.replaceSubrange(offset..<offset + old.count, with: new)
    }
  }
}
