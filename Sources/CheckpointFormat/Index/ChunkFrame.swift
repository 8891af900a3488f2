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

  /// For who has no header: an identity put together from its parts.
  package init(
    formatVersion: FormatVersion, saveIdentifier: Identifier, tensor: UInt32, chunk: UInt32,
    rawByteCount: UInt32
  ) {
    self.formatVersion = formatVersion
    self.saveIdentifier = saveIdentifier
    self.tensor = tensor
    self.chunk = chunk
    self.rawByteCount = rawByteCount
  }

  /// The checksum of `bytes` as the content of this chunk.
  package func checksum(of bytes: RawSpan) -> UInt32 {
    #if Mutants
      if Mutant.isActive(.identityLeftOutOfChecksum) { return formatVersion.checksum(bytes) }
    #endif
    // On the stack: a chunk may be small, and there may be millions.
    var identity = InlineArray<28, UInt8>(repeating: 0)
    encode(into: &identity)
    // SAFETY: the view is unsafe for element types with padding; a byte has none.
    let head = unsafe identity.span.bytes
    switch formatVersion {
    case .v1:
      var crc = CRC32()
      crc.update(head)
      crc.update(bytes)
      return crc.value
    case .v2:
      var crc = CRC32C()
      crc.update(head)
      crc.update(bytes)
      return crc.value
    }
  }

  private func encode(into bytes: inout InlineArray<28, UInt8>) {
    var span = bytes.mutableSpan
    // SAFETY: the buffer is the array's own, and each store is checked against its length.
    unsafe span.withUnsafeMutableBytes { buffer in
      unsafe buffer.store(saveIdentifier, at: 0)
      unsafe buffer.store(tensor, at: 16)
      unsafe buffer.store(chunk, at: 20)
      unsafe buffer.store(rawByteCount, at: 24)
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
    unsafe [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
      // SAFETY: `encode` initialises as many bytes as a frame has.
      unsafe encode(
        into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: Self.byteCount))
      count = Self.byteCount
    }
  }

  /// Writes the frame to the first 64 bytes of `buffer`.
  ///
  /// - Precondition: `buffer` has that many.
  package func encode(into buffer: UnsafeMutableRawBufferPointer) {
    // SAFETY: each store is checked against the buffer's length, and together they cover the frame;
    // the checksum is taken of bytes that were stored before.
    unsafe buffer.store(Self.magic, at: 0)
    unsafe buffer.store(codec.rawValue, at: 4)
    unsafe buffer.store(identity.saveIdentifier, at: 8)
    unsafe buffer.store(identity.tensor, at: 24)
    unsafe buffer.store(identity.chunk, at: 28)
    unsafe buffer.store(rawOffset, at: 32)
    unsafe buffer.store(identity.rawByteCount, at: 40)
    unsafe buffer.store(storedByteCount, at: 44)
    unsafe buffer.store(storedChecksum, at: 48)
    unsafe buffer.store(rawChecksum, at: 52)
    unsafe buffer.store(UInt32(0), at: 56)
    let sealed = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer[..<Self.checksumOffset]))
    unsafe buffer.store(identity.formatVersion.checksum(sealed), at: Self.checksumOffset)
  }
}

/// How a chunk's bytes are stored; an unknown one is refused.
package struct CodecIdentifier: RawRepresentable, Hashable, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  // That of all raw values is generic, and too slow for a table of millions of rows.
  package static func == (left: CodecIdentifier, right: CodecIdentifier) -> Bool {
    left.rawValue == right.rawValue
  }

  /// The bytes themselves.
  package static let stored = CodecIdentifier(rawValue: 0)
  /// One raw DEFLATE stream of the whole chunk (RFC 1951); in version 1 only.
  package static let deflate = CodecIdentifier(rawValue: 1)
  /// Planes of bytes, each stored as what suits it; from version 2 on.
  package static let planes = CodecIdentifier(rawValue: 2)
}
