internal import CheckpointCodecs

/// What one thread needs to read chunks: a decoder, and memory that is touched and stays: fresh pages cost
/// several times what a copy into known ones does.
final class ChunkWorkspace {
  let decoder = ChunkDecoder()
  private let storedMemory = Scratch()
  private let rawMemory = Scratch()

  /// Memory for what is read from the file, until the next call.
  func storedBytes(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    // SAFETY: lent to one thread at a time, as this object is.
    unsafe UnsafeMutableRawBufferPointer(storedMemory.bytes(byteCount))
  }

  /// Memory for what a chunk decodes to and nobody wants, until the next call.
  func rawBytes(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rawMemory.bytes(byteCount))
  }
}
