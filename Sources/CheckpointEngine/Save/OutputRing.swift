internal import CheckpointStorage

/// Memory in which the bytes of a file wait for the disk: the last so many of them.
///
/// A range of the file lies in one piece unless it goes over the end of the memory.
// SAFETY: the buffer's address never changes. Whoever is given memory of a range fills it between
// `SequentialOutput.makeRoom` for that range and its `commit`, and the thread that writes reads it after that.
@safe
struct OutputRing: Sendable {
  private nonisolated(unsafe) let memory: PageBuffer
  /// How much of the memory is used.
  let byteCount: Int
  /// Where in it the file begins.
  private let start: Int

  init(_ memory: PageBuffer, byteCount: Int, start: Int) {
    precondition(byteCount <= memory.byteCount && start < byteCount, "the ring lies in its memory")
    unsafe self.memory = memory
    self.byteCount = byteCount
    self.start = start
  }

  /// The memory of a range of the file; nil if it is not in one piece.
  @unsafe func bytes(_ range: Range<UInt64>) -> UnsafeMutableRawBufferPointer? {
    let first = (start + Int(range.lowerBound % UInt64(byteCount))) % byteCount
    guard range.count <= byteCount - first else { return nil }
    return unsafe memory.bytes(first..<first + range.count)
  }
}
