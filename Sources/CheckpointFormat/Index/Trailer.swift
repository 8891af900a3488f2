/// What a section holds.
package struct SectionKind: RawRepresentable, Hashable, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let tensorTable = SectionKind(rawValue: 1)
  package static let nameOrder = SectionKind(rawValue: 2)
  package static let chunkTable = SectionKind(rawValue: 3)
  package static let metadata = SectionKind(rawValue: 4)

  /// Every file begins its directory with these, in this order; others may follow.
  package static let required: [SectionKind] = [.tensorTable, .nameOrder, .chunkTable, .metadata]
}

/// One row of the section directory.
package struct Section: Hashable, Sendable {
  package var kind: SectionKind
  package var flags: UInt32
  package var offset: UInt64
  package var byteCount: UInt64
  package var checksum: UInt32

  package init(
    kind: SectionKind, flags: UInt32 = 0, offset: UInt64, byteCount: UInt64, checksum: UInt32
  ) {
    self.kind = kind
    self.flags = flags
    self.offset = offset
    self.byteCount = byteCount
    self.checksum = checksum
  }

  package var endOffset: UInt64 { offset + byteCount }
}

/// The last 1,024 bytes of a file: where the sections are, and what the rest must add up to.
///
/// - SeeAlso: docs/format.md, section 9.
package struct Trailer: Hashable, Sendable {
  package static let byteCount = 1024
  package static let sectionCountMax = 24
  package static let sectionByteCount = 32
  package static let checksumOffset = 1012
  package static let magic: [UInt8] = FileStart.magic.reversed()

  /// Of the file, which decides how checksums are made.
  package var formatVersion: FormatVersion
  package var sections: [Section]
  package var fileByteCount: UInt64
  package var saveIdentifier: Identifier
  package var headerChecksum: UInt32
  package var frontTableChecksum: UInt32

  package init(
    of header: CheckpointHeader, sections: [Section], fileByteCount: UInt64,
    headerChecksum: UInt32, frontTableChecksum: UInt32
  ) {
    formatVersion = header.formatVersion
    self.sections = sections
    self.fileByteCount = fileByteCount
    saveIdentifier = header.saveIdentifier
    self.headerChecksum = headerChecksum
    self.frontTableChecksum = frontTableChecksum
  }

  package var encoded: [UInt8] {
    var writer = ByteWriter(reservingCapacity: Self.byteCount)
    for section in sections {
      writer.append(section.kind.rawValue)
      writer.append(section.flags)
      writer.append(section.offset)
      writer.append(section.byteCount)
      writer.append(section.checksum)
      writer.append(UInt32(0))
    }
    writer.pad(to: Self.sectionCountMax * Self.sectionByteCount)
    writer.append(UInt32(sections.count))
    writer.append(UInt32(0))
    writer.append(fileByteCount)
    writer.append(saveIdentifier)
    writer.append(headerChecksum)
    writer.append(frontTableChecksum)
    writer.pad(to: Self.checksumOffset)
    writer.append(formatVersion.checksum(writer.bytes.rawSpan))
    writer.append(contentsOf: Self.magic)
    return writer.bytes
  }

  /// Reads the last bytes of a file of `fileByteCount` bytes.
  package init(
    decoding bytes: RawSpan, fileByteCount: UInt64, version: FormatVersion, limits: Limits
  ) throws(FormatError) {
    guard bytes.byteCount == Self.byteCount, fileByteCount >= UInt64(Self.byteCount) else {
      throw FormatError(.truncated(needed: UInt64(Self.byteCount)), at: 0)
    }
    formatVersion = version
    let base = fileByteCount - UInt64(Self.byteCount)
    let magicOffset = Self.byteCount - Self.magic.count
    guard bytes.extracting(droppingFirst: magicOffset).elementsEqual(Self.magic.rawSpan) else {
      throw FormatError(.incomplete, at: base + UInt64(magicOffset))
    }
    var reader = ByteReader(
      bytes.extracting(Self.checksumOffset..<magicOffset), at: base + UInt64(Self.checksumOffset))
    let stored = try reader.read(UInt32.self)
    let computed = version.checksum(bytes.extracting(0..<Self.checksumOffset))
    guard stored == computed else {
      throw FormatError(
        .checksumMismatch(.trailer, stored: stored, computed: computed),
        at: base + UInt64(Self.checksumOffset))
    }

    let countOffset = Self.sectionCountMax * Self.sectionByteCount
    reader = ByteReader(
      bytes.extracting(countOffset..<Self.checksumOffset), at: base + UInt64(countOffset))
    let count = Int(try reader.read(UInt32.self))
    try reader.skipZeros(4)
    self.fileByteCount = try reader.read(UInt64.self)
    saveIdentifier = try reader.readIdentifier()
    headerChecksum = try reader.read(UInt32.self)
    frontTableChecksum = try reader.read(UInt32.self)
    try reader.skipZeros(reader.remainingByteCount)
    guard self.fileByteCount == fileByteCount, fileByteCount % Layout.fileAlignment == 0 else {
      throw FormatError(.incomplete, at: base + UInt64(countOffset) + 8)
    }
    guard count <= Self.sectionCountMax else {
      throw FormatError(.inconsistent("number of sections"), at: base + UInt64(countOffset))
    }
    sections = try Self.decodeSections(
      bytes.extracting(0..<countOffset), count: count, trailerOffset: base, limits: limits)
  }

  /// Reads the directory: ascending, without gaps but for alignment.
  private static func decodeSections(
    _ bytes: RawSpan, count: Int, trailerOffset: UInt64, limits: Limits
  ) throws(FormatError) -> [Section] {
    var reader = ByteReader(bytes, at: trailerOffset)
    var sections: [Section] = []
    for _ in 0..<count {
      let offset = reader.fileOffset
      let section = Section(
        kind: SectionKind(rawValue: try reader.read(UInt32.self)),
        flags: try reader.read(UInt32.self), offset: try reader.read(UInt64.self),
        byteCount: try reader.read(UInt64.self), checksum: try reader.read(UInt32.self))
      try reader.skipZeros(4)
      let (end, overflowed) = section.offset.addingReportingOverflow(section.byteCount)
      guard !overflowed, end <= trailerOffset, section.offset >= Layout.frontTableOffset,
        section.offset % Layout.alignment == 0,
        sections.last.map({ Layout.aligned($0.endOffset) == section.offset }) ?? true
      else { throw FormatError(.inconsistent("a section out of its place"), at: offset) }
      guard section.flags == 0 || !SectionKind.required.contains(section.kind) else {
        throw FormatError(.reservedNotZero, at: offset + 4)
      }
      sections.append(section)
    }
    try reader.skipZeros(reader.remainingByteCount)
    // One order for what every file has: two files of one content do not differ by accident.
    let required = SectionKind.required
    guard sections.prefix(required.count).map(\.kind) == required,
      !sections.dropFirst(required.count).contains(where: { required.contains($0.kind) })
    else {
      throw FormatError(.inconsistent("a section is missing or out of order"), at: trailerOffset)
    }
    let end = sections[sections.count - 1].endOffset
    let total = end - sections[0].offset
    try limits.check(total, \.indexByteCountMax, "size of all sections", at: trailerOffset)
    guard
      Layout.fileByteCount(sectionsEnd: end) == trailerOffset + UInt64(Self.byteCount)
    else { throw FormatError(.inconsistent("a gap before the trailer"), at: end) }
    return sections
  }

  /// Where the chunks lie: from the end of the front table to the first section.
  package func chunkRegion(
    frontTableByteCount: UInt64
  ) throws(FormatError) -> Range<UInt64> {
    let start = FrontTable.endOffset(tableByteCount: frontTableByteCount)
    let end = section(.tensorTable).offset
    guard start <= end else {
      throw FormatError(.inconsistent("the front table reaches into the sections"), at: end)
    }
    return start..<end
  }

  /// The section of a required kind.
  package func section(_ kind: SectionKind) -> Section {
    guard let section = sections.first(where: { $0.kind == kind }) else {
      preconditionFailure("decoding checked that every required section stands in the directory")
    }
    return section
  }
}
