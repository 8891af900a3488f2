/// Where things lie in a file, whatever its version.
///
/// - SeeAlso: docs/format.md, section 2.
package enum Layout {
  /// Frames and sections begin at multiples of this.
  package static let alignment: UInt64 = 64
  /// A file's length is a multiple of this.
  package static let fileAlignment: UInt64 = 4096
  /// The front table follows the header.
  package static let frontTableOffset = UInt64(CheckpointHeader.byteCount)

  /// The next multiple of ``alignment``.
  package static func aligned(_ offset: UInt64) -> UInt64 {
    (offset + alignment - 1) / alignment * alignment
  }

  /// The length of a file whose last section ends at `end`.
  package static func fileByteCount(sectionsEnd end: UInt64) -> UInt64 {
    let unpadded = end + UInt64(Trailer.byteCount)
    return (unpadded + fileAlignment - 1) / fileAlignment * fileAlignment
  }

  /// The bytes from the start of one frame to the start of the next.
  package static func frameStride(storedByteCount: Int) -> UInt64 {
    aligned(UInt64(ChunkFrame.byteCount) + UInt64(storedByteCount))
  }
}
