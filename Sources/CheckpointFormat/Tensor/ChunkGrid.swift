/// How tensors are cut into chunks: row-major bytes, full chunks first, one shorter at the end.
///
/// - SeeAlso: docs/format.md, section 6.4.
package struct ChunkGrid: Hashable, Sendable {
  /// Bytes of a full chunk before encoding.
  package let chunkByteCount: Int

  package init(chunkByteCount: Int) { self.chunkByteCount = chunkByteCount }

  /// A multiple of 64, so that no element is ever cut.
  package static func isValidChunkByteCount(_ value: Int) -> Bool {
    value >= 64 && value % 64 == 0 && value <= Limits.default.chunkByteCountMax
  }

  /// Chunks of a tensor of `byteCount` bytes; an empty tensor has none.
  package func chunkCount(of byteCount: UInt64) -> UInt64 {
    byteCount / UInt64(chunkByteCount) + (byteCount % UInt64(chunkByteCount) == 0 ? 0 : 1)
  }

  /// Bytes of chunk `chunk` of a tensor of `byteCount` bytes.
  package func rawByteCount(chunk: Int, of byteCount: UInt64) -> Int {
    let start = UInt64(chunk) * UInt64(chunkByteCount)
    return Int(min(UInt64(chunkByteCount), byteCount - start))
  }
}
