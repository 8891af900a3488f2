#if Mutants
  internal import CheckpointMutants
#endif

/// Which chunk of which tensor of which file some bytes are; every chunk checksum begins with it.
///
/// Chunks that were swapped, left over from another save, or written to the wrong place have the
/// right bytes and the wrong identity.
package struct ChunkIdentity: Hashable, Sendable {
  /// Of the file, which decides how checksums are made.
  package var formatVersion: FormatVersion
  package var saveIdentifier: Identifier
  /// The tensor's place in the order of saving.
  package var tensor: UInt32
  /// The chunk's place in its tensor.
  package var chunk: UInt32
  package var rawByteCount: UInt32

  package init(
    in header: CheckpointHeader, tensor: UInt32, chunk: UInt32, rawByteCount: UInt32
  ) {
    formatVersion = header.formatVersion
    saveIdentifier = header.saveIdentifier
    self.tensor = tensor
    self.chunk = chunk
    self.rawByteCount = rawByteCount
  }

  /// The checksum of `bytes` as the content of this chunk.
  package func checksum(of bytes: RawSpan) -> UInt32 {
    var identity = ByteWriter(reservingCapacity: 28)
    identity.append(saveIdentifier)
    identity.append(tensor)
    identity.append(chunk)
    identity.append(rawByteCount)
    #if Mutants
      if Mutant.isActive(.identityLeftOutOfChecksum) { return formatVersion.checksum(bytes) }
    #endif
    switch formatVersion {
    case .v1:
      var crc = CRC32()
      crc.update(identity.bytes.rawSpan)
      crc.update(bytes)
      return crc.value
    case .v2:
      var crc = CRC32C()
      crc.update(identity.bytes.rawSpan)
      crc.update(bytes)
      return crc.value
    }
  }
}

/// The 64 bytes in front of every stored chunk, from which a file without an index is salvaged.
///
/// - SeeAlso: docs/format.md, section 7.
package struct ChunkFrame: Hashable, Sendable {
  package static let byteCount = 64
  package static let checksumOffset = 60
  package static let magic: UInt32 = 0x4B4E_4843  // "CHNK"

  package var identity: ChunkIdentity
  package var codec: CodecIdentifier
  package var rawOffset: UInt64
  package var storedByteCount: UInt32
  package var storedChecksum: UInt32
  package var rawChecksum: UInt32

  package init(
    identity: ChunkIdentity, codec: CodecIdentifier, rawOffset: UInt64, storedByteCount: UInt32,
    storedChecksum: UInt32, rawChecksum: UInt32
  ) {
    self.identity = identity
    self.codec = codec
    self.rawOffset = rawOffset
    self.storedByteCount = storedByteCount
    self.storedChecksum = storedChecksum
    self.rawChecksum = rawChecksum
  }

  package var encoded: [UInt8] {
    var bytes = ByteWriter(reservingCapacity: Self.byteCount)
    bytes.append(Self.magic)
    bytes.append(codec.rawValue)
    bytes.append(identity.saveIdentifier)
    bytes.append(identity.tensor)
    bytes.append(identity.chunk)
    bytes.append(rawOffset)
    bytes.append(identity.rawByteCount)
    bytes.append(storedByteCount)
    bytes.append(storedChecksum)
    bytes.append(rawChecksum)
    bytes.pad(to: Self.checksumOffset)
    bytes.append(identity.formatVersion.checksum(bytes.bytes.rawSpan))
    return bytes.bytes
  }
}

/// How a chunk's bytes are stored; an unknown one is refused.
package struct CodecIdentifier: RawRepresentable, Hashable, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The bytes themselves.
  package static let stored = CodecIdentifier(rawValue: 0)
  /// One raw DEFLATE stream of the whole chunk (RFC 1951); in version 1 only.
  package static let deflate = CodecIdentifier(rawValue: 1)
  /// Planes of bytes, each stored as what suits it; from version 2 on.
  package static let planes = CodecIdentifier(rawValue: 2)
}
