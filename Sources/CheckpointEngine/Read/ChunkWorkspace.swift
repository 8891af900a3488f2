internal import CheckpointCodecs

/// What one thread needs to read chunks: a decoder, and memory that is touched and stays: fresh pages cost
/// several times what a copy into known ones does.
final class ChunkWorkspace {
  let decoder = ChunkDecoder()
  private let storedMemory = Scratch()
  private let rawMemory = Scratch()
  /// The chunk whose raw bytes lie in the memory for them; nil if anything else may.
  private var heldChunk: Int?

  /// Memory for what is read from the file, until the next call.
  func storedBytes(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    // SAFETY: lent to one thread at a time, as this object is.
    unsafe UnsafeMutableRawBufferPointer(storedMemory.bytes(byteCount))
  }

  /// Memory for what a chunk decodes to and nobody wants, until the next call.
  func rawBytes(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    heldChunk = nil
    return unsafe UnsafeMutableRawBufferPointer(rawMemory.bytes(byteCount))
  }

  /// The raw bytes of a chunk, until the next call; `load` fills them unless they are there from the last one:
  /// rows are read one behind the other.
  func rawBytes<Failure: Error>(
    of chunk: Int, _ byteCount: Int,
    load: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> UnsafeMutableRawBufferPointer {
    if heldChunk == chunk {
      return unsafe UnsafeMutableRawBufferPointer(rawMemory.bytes(byteCount))
    }
    let memory = unsafe rawBytes(byteCount)
    unsafe try load(memory)
    heldChunk = chunk
    return unsafe memory
  }
}
