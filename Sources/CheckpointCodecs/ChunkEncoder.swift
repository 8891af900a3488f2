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
  /// The stream of the chunk that was looked at last, if there are no planes.
  private let streamScratch = Scratch()
  private var streamByteCount = 0
  /// What encoded chunks are marked with.
  package let codec: CodecIdentifier

  /// - Parameter version: Of the file that the chunks are for.
  package init(for version: FormatVersion) {
    switch version {
    case .v1: (coder, codec) = (.deflate(Deflater()), .deflate)
    case .v2: (coder, codec) = (.planes(PlaneEncoder()), .planes)
    }
  }

  /// Looks at a chunk, which ``write(_:into:)`` then writes.
  ///
  /// - Parameters:
  ///   - raw: Whole elements.
  ///   - dtype: Their type.
  /// - Returns: The bytes of the encoded chunk, or nil if it would not save at least 1/32.
  package func plan(_ raw: RawSpan, of dtype: DType) -> Int? {
    switch coder {
    case .deflate(let deflater):
      let target = unsafe UnsafeMutableRawBufferPointer(streamScratch.bytes(raw.byteCount))
      unsafe streamByteCount = deflater.encode(raw, into: target) ?? 0
      return streamByteCount > 0 ? streamByteCount : nil
    case .planes(let encoder): return encoder.plan(raw, ElementLayout(dtype))
    }
  }

  /// Writes the chunk that was looked at last.
  ///
  /// - Parameters:
  ///   - raw: The same elements.
  ///   - output: As many bytes as ``plan(_:of:)`` returned.
  package func write(_ raw: RawSpan, into output: UnsafeMutableRawBufferPointer) {
    // SAFETY: the buffer is lent for this call.
    switch coder {
    case .deflate:
      precondition(output.count == streamByteCount, "a chunk becomes as long as was planned")
      unsafe output.copyMemory(from: UnsafeRawBufferPointer(streamScratch.bytes(streamByteCount)))
    case .planes(let encoder): unsafe encoder.write(raw, into: output)
    }
  }
}
