package import CheckpointFormat

/// A stored chunk that does not decode to what its frame promises.
package enum DecodingError: Error, Hashable, Sendable {
  /// The bytes are malformed, or decode to more or less than they must.
  case malformed
}

/// Decodes stored chunks.
///
/// One instance serves one thread at a time, and keeps memory for a chunk and tables between them.
package final class ChunkDecoder {
  private let planes: PlaneDecoder

  /// - Parameter usesZlibAlone: Whether to leave every stream to zlib, for tests that compare the two.
  package init(usesZlibAlone: Bool = false) { planes = PlaneDecoder(usesZlibAlone: usesZlibAlone) }

  /// Streams of planes that were left to zlib, for tests that want to know whose decoder they tested.
  package var zlibStreamCount: Int { planes.zlibStreamCount }

  /// Decodes `stored` into all of `output`.
  ///
  /// What is stored must be used to its end and fill `output` exactly.
  package func decode(
    _ stored: RawSpan, codec: CodecIdentifier, into output: UnsafeMutableRawBufferPointer
  ) throws(DecodingError) {
    switch codec {
    case .stored:
      guard stored.byteCount == output.count else { throw .malformed }
      unsafe stored.withUnsafeBytes { bytes in
        // SAFETY: both hold `count` bytes, checked above.
        unsafe output.copyMemory(from: bytes)
      }
    case .deflate:
      guard unsafe Inflater.inflate(stored, into: output) else { throw .malformed }
    case .planes:
      let isDecoded = unsafe stored.withUnsafeBytes { bytes in
        // SAFETY: the bytes are borrowed for this call, and nothing else has bound them.
        unsafe planes.decode(
          UnsafeBufferPointer(
            start: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count),
          into: output)
      }
      guard isDecoded else { throw .malformed }
    default: throw .malformed
    }
  }

  /// The most bytes that `storedByteCount` bytes can decode to.
  ///
  /// DEFLATE's densest symbol pair takes two bits and stands for 258 bytes. Planes may be constant, and stand
  /// for any number if they are there at all.
  package static func rawByteCountMax(storedByteCount: UInt32, codec: CodecIdentifier) -> UInt64 {
    switch codec {
    case .deflate: UInt64(storedByteCount) * (8 / 2 * 258)
    case .planes: storedByteCount > PlaneHead.byteCount(width: 1) ? .max : 0
    default: UInt64(storedByteCount)
    }
  }
}
