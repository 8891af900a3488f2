/// The first 64 bytes of every checkpoint file, the same in all format versions.
///
/// - SeeAlso: docs/format.md, section 4.
package struct FileStart: Hashable, Sendable {
  package static let byteCount = 64
  package static let magic: [UInt8] = [0xD3, 0x43, 0x4B, 0x50, 0x0D, 0x0A, 0x1A, 0x0A]
  package static let checksumOffset = 60

  package var headerByteCount: UInt32
  package var formatVersion: UInt32
  /// What a reader must understand.
  package var readFeatures: FeatureSet
  /// What a tool that rewrites the file must understand.
  package var preserveFeatures: FeatureSet
  /// 1 to 2^63 - 1.
  package var generation: UInt64
  package var saveIdentifier: Identifier

  package init(
    formatVersion: UInt32 = FormatVersion.current.rawValue, readFeatures: FeatureSet = [],
    preserveFeatures: FeatureSet = [], generation: UInt64, saveIdentifier: Identifier
  ) {
    headerByteCount = UInt32(CheckpointHeader.byteCount)
    self.formatVersion = formatVersion
    self.readFeatures = readFeatures
    self.preserveFeatures = preserveFeatures
    self.generation = generation
    self.saveIdentifier = saveIdentifier
  }

  /// Reads the start of a file, whatever its version.
  ///
  /// The checksum is checked before any field is believed, so that a flipped version reads as
  /// damage and not as a file from the future.
  package init(decoding bytes: RawSpan) throws(FormatError) {
    var reader = ByteReader(bytes, at: 0)
    let magic = try reader.readBytes(Self.magic.count)
    guard magic.elementsEqual(Self.magic.rawSpan) else {
      throw FormatError(.notACheckpoint, at: 0)
    }
    guard bytes.byteCount >= Self.byteCount else {
      throw FormatError(.truncated(needed: UInt64(Self.byteCount)), at: 0)
    }
    headerByteCount = try reader.read(UInt32.self)
    formatVersion = try reader.read(UInt32.self)
    readFeatures = FeatureSet(rawValue: try reader.read(UInt64.self))
    preserveFeatures = FeatureSet(rawValue: try reader.read(UInt64.self))
    let generationOffset = reader.fileOffset
    generation = try reader.read(UInt64.self)
    saveIdentifier = try reader.readIdentifier()
    let reserved = try reader.read(UInt32.self)
    let stored = try reader.read(UInt32.self)
    let computed = CRC32.checksum(bytes.extracting(0..<Self.checksumOffset))
    guard stored == computed else {
      throw FormatError(
        .checksumMismatch(.fileStart, stored: stored, computed: computed),
        at: UInt64(Self.checksumOffset))
    }
    guard reserved == 0 else {
      throw FormatError(.reservedNotZero, at: UInt64(Self.checksumOffset - 4))
    }
    guard generation >= 1, generation <= Limits.counterMax else {
      throw FormatError(.inconsistent("generation that is never counted"), at: generationOffset)
    }
  }

  /// The version of the rest of the file; throws unless this build can read it.
  package func supportedVersion() throws(FormatError) -> FormatVersion {
    guard let version = FormatVersion(rawValue: formatVersion) else {
      throw FormatError(.unsupportedVersion(formatVersion), at: 12)
    }
    let unknown = readFeatures.subtracting(.known)
    guard unknown.isEmpty else {
      throw FormatError(.unsupportedFeatures(unknown.rawValue), at: 16)
    }
    guard headerByteCount == UInt32(CheckpointHeader.byteCount) else {
      throw FormatError(.inconsistent("header length of another version"), at: 8)
    }
    return version
  }

  package var encoded: [UInt8] {
    var writer = ByteWriter(reservingCapacity: Self.byteCount)
    writer.append(contentsOf: Self.magic)
    writer.append(headerByteCount)
    writer.append(formatVersion)
    writer.append(readFeatures.rawValue)
    writer.append(preserveFeatures.rawValue)
    writer.append(generation)
    writer.append(saveIdentifier)
    writer.pad(to: Self.checksumOffset)
    writer.append(CRC32.checksum(writer.bytes.rawSpan))
    return writer.bytes
  }
}

/// One of the two feature words of the file start.
package struct FeatureSet: OptionSet, Hashable, Sendable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// No version defines a feature yet.
  package static let known: FeatureSet = []

  /// What to call each bit in a message.
  package var names: [String] {
    (0..<64).filter { rawValue >> $0 & 1 == 1 }.map { "bit \($0)" }
  }
}
