internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

extension CheckpointReader {
  /// Reads a tensor, or some rows of it, from the first element to the last, without ever holding all of it.
  ///
  /// - Parameters:
  ///   - name: The tensor's name, compared by the bytes of its UTF-8.
  ///   - rows: A range of the first dimension; nil for the whole tensor.
  ///   - body: Is given whole elements, row-major and little-endian, in order; returns whether it wants
  ///     more.
  /// - Throws: ``CheckpointError``: `.notFound` also if the tensor has no such rows, `.corrupted` or
  ///   `.unreadable`; what came before was intact.
  /// - Complexity: Memory for some chunks.
  package func stream(
    _ name: String, rows: Range<Int>? = nil, _ body: (RawSpan) -> Bool
  ) throws(CheckpointError) {
    let entry = index.tensors.entries[try number(of: name)]
    var range = 0..<entry.byteCount
    if let rows { range = try byteRange(rows, of: entry) }
    let chunkByteCount = UInt64(index.tensors.grid.chunkByteCount)
    // Enough for all threads to have something to decode.
    let size = chunkByteCount * max(1, (4 << 20) / chunkByteCount)
    let memory = Scratch()
    var start = range.lowerBound
    while start < range.upperBound {
      // Whole chunks but for the first and the last, so that none is decoded twice.
      let end = min((start / size + 1) * size, range.upperBound)
      let buffer = unsafe UnsafeMutableRawBufferPointer(memory.bytes(Int(end - start)))
      unsafe try read(entry, start..<end, into: buffer)
      // SAFETY: the memory is this call's until the next window is read.
      guard body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer))) else { return }
      start = end
    }
  }
}
