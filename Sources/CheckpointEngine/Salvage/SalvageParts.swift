internal import CheckpointFormat
internal import CheckpointStorage

/// What all parts of one file have in common: it decides whose they are, and how checksums are made.
struct SaveIdentity: Hashable {
  var version: FormatVersion
  var identifier: Identifier
}

/// A front table whose checksum fits.
struct FrontTablePart {
  var identity: SaveIdentity
  var table: [UInt8]

  init?(in file: DamagedFile, at offset: UInt64) {
    guard let head = file.bytes(UInt64(FrontTable.headByteCount), at: offset),
      let front = try? FrontTable.decodeHead(head.rawSpan),
      let bytes = file.bytes(UInt64(FrontTable.headByteCount) + front.tableByteCount, at: offset),
      let version = FormatVersion.allCases.first(where: {
        $0.checksum(bytes.rawSpan.extracting(droppingFirst: 8)) == front.checksum
      })
    else { return nil }
    identity = SaveIdentity(version: version, identifier: front.saveIdentifier)
    table = Array(bytes[FrontTable.headByteCount...])
  }
}

/// A trailer whose checksum fits, wherever it lies, and the sections that it tells of.
struct TrailerPart {
  let trailer: Trailer
  /// Where the file really ends by this trailer.
  let endOffset: UInt64

  var identity: SaveIdentity {
    SaveIdentity(version: trailer.formatVersion, identifier: trailer.saveIdentifier)
  }

  init?(in file: DamagedFile, endingAt end: UInt64) {
    let byteCount = UInt64(Trailer.byteCount)
    guard end >= byteCount, let bytes = file.bytes(byteCount, at: end - byteCount) else {
      return nil
    }
    // What it says itself: of a file that lost its beginning, it is more than there is.
    let stated = bytes.rawSpan.word(at: Trailer.sectionCountMax * Trailer.sectionByteCount + 8)
    for version in FormatVersion.allCases {
      let trailer = try? Trailer(
        decoding: bytes.rawSpan, fileByteCount: stated, version: version, limits: .default)
      guard let trailer else { continue }
      self.trailer = trailer
      endOffset = end
      return
    }
    return nil
  }

  /// Whether everything lies where the trailer says.
  var isInPlace: Bool { endOffset == trailer.fileByteCount }

  /// The bytes of a section, if they are there and its checksum fits.
  func section(_ kind: SectionKind, in file: DamagedFile) -> [UInt8]? {
    bytes(of: trailer.section(kind), in: file)
  }

  private func bytes(of section: Section, in file: DamagedFile) -> [UInt8]? {
    // The distance to the end stays the same whatever is lost in front.
    let distance = trailer.fileByteCount - section.offset
    guard distance <= endOffset,
      let bytes = file.bytes(section.byteCount, at: endOffset - distance),
      trailer.formatVersion.checksum(bytes.rawSpan) == section.checksum
    else { return nil }
    return bytes
  }
}

/// The parts of a damaged file whose checksums fit, before any chunk is looked at.
struct SalvageParts {
  /// The first 64 bytes.
  var start: FileStart?
  var header: CheckpointHeader?
  var fronts: [FrontTablePart] = []
  var trailers: [TrailerPart] = []

  /// Reads what lies at its place.
  ///
  /// - Throws: ``CheckpointError`` `.unsupported`, if it is a whole file start of a version, or with
  ///   features, that this build does not know.
  init(reading file: DamagedFile) throws(CheckpointError) {
    let bytes = file.bytes(min(file.byteCount, UInt64(CheckpointHeader.byteCount)), at: 0) ?? []
    start = try? FileStart(decoding: bytes.rawSpan)
    if let start {
      do {
        _ = try start.supportedVersion()
      } catch {
        if error.isUnsupported { throw CheckpointError(in: file.file.path, error) }
        self.start = nil
      }
    }
    if start != nil {
      header = try? CheckpointHeader(decoding: bytes.rawSpan, limits: .default)
    }
    fronts = [FrontTablePart(in: file, at: Layout.frontTableOffset)].compactMap { $0 }
    trailers = [TrailerPart(in: file, endingAt: file.byteCount)].compactMap { $0 }
  }

  var startIdentity: SaveIdentity? {
    start.flatMap { start in
      FormatVersion(rawValue: start.formatVersion).map {
        SaveIdentity(version: $0, identifier: start.saveIdentifier)
      }
    }
  }

  /// Whether all parts are there and of one file, so that nothing has to be searched for.
  var areWhole: Bool {
    guard header != nil, let identity = startIdentity, let front = fronts.first,
      let trailer = trailers.first
    else { return false }
    return front.identity == identity && trailer.identity == identity && trailer.isInPlace
  }
}
