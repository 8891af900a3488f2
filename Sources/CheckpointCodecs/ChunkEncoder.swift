package import CheckpointFormat

/// Encodes chunks as a format version has them.
///
/// One instance serves one thread at a time, and keeps memory for a chunk between them.
package final class ChunkEncoder {
  private enum Coder {
    case deflate(Deflater)
    case planes(PlaneEncoder)
  }

  private let coder: Coder
  /// What encoded chunks are marked with.
  package let codec: CodecIdentifier

  /// - Parameter version: Of the file that the chunks are for.
  package init(for version: FormatVersion) {
    switch version {
    case .v1: (coder, codec) = (.deflate(Deflater()), .deflate)
    case .v2: (coder, codec) = (.planes(PlaneEncoder()), .planes)
    }
  }

  /// Encodes `raw` into the beginning of `output`.
  ///
  /// - Parameters:
  ///   - raw: Whole elements.
  ///   - dtype: Their type.
  ///   - output: As many bytes as `raw` has. Its contents are unspecified if nil is returned.
  /// - Returns: The bytes of the encoded chunk, or nil if it would not save at least 1/32.
  package func encode(
    _ raw: RawSpan, of dtype: DType, into output: UnsafeMutableRawBufferPointer
  ) -> Int? {
    // SAFETY: the buffer is lent for this call.
    switch coder {
    case .deflate(let deflater): unsafe deflater.encode(raw, into: output)
    case .planes(let encoder): unsafe encoder.encode(raw, ElementLayout(dtype), into: output)
    }
  }
}
