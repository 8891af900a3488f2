internal import CheckpointFormat
internal import CheckpointStorage

extension CheckpointReader {
  var loader: ChunkLoader { ChunkLoader(file: file, index: index, workspaces: workspaces) }

  /// Reads a byte range of a tensor into a new array.
  func read(
    _ entry: TensorTable.Entry, _ range: Range<UInt64>
  ) throws(CheckpointError) -> [UInt8] {
    let byteCount = range.count
    try Memory.require(byteCount, for: entry.name, in: path)
    return unsafe try [UInt8](filling: byteCount) { (buffer) throws(CheckpointError) in
      unsafe try read(entry, range, into: buffer)
    }
  }

  /// Reads a byte range of a tensor; only the chunks that hold a part of it are touched.
  func read(
    _ entry: TensorTable.Entry, _ range: Range<UInt64>,
    into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    guard !range.isEmpty else { return }
    if entry.chunkCount == 1, range == 0..<entry.byteCount {
      return unsafe try readSingleChunk(entry.firstChunk, into: target)
    }
    let size = UInt64(index.tensors.grid.chunkByteCount)
    let first = Int(range.lowerBound / size)
    let last = Int((range.upperBound - 1) / size)
    // SAFETY: every chunk writes its own part of `target`, and all are done when `forEach` returns.
    nonisolated(unsafe) let target = unsafe target
    // Rows are read by small ranges, one behind the other, and mostly out of a chunk that is there.
    let advice = range.count > Int(ReadOnAdvice.stepByteCount) ? ReadOnAdvice(file) : nil
    let failures = pool.map(last - first + 1) { number -> CheckpointError? in
      advice?.note(index.chunks.entries[entry.firstChunk + first + number].frameOffset)
      do throws(CheckpointError) {
        unsafe try loadPart(of: entry, chunk: first + number, range, into: target)
        return nil
      } catch {
        return error
      }
    }
    guard let failure = failures.lazy.compactMap({ $0 }).first else { return }
    throw advising(failure)
  }

  /// Reads a tensor that is one chunk; of many small ones in a row most are read before.
  private func readSingleChunk(
    _ number: Int, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let isSmall = index.chunks.entries[number].rawByteCount <= ReadAhead.chunkByteCountMax
    if isSmall, unsafe readAhead.copy(number, to: target) { return }
    do {
      // SAFETY: as many bytes as the chunk has, lent for this call.
      unsafe try loader.load(number, into: target)
    } catch {
      throw advising(error)
    }
  }

  /// Adds what to do about damage.
  func advising(_ failure: CheckpointError) -> CheckpointError {
    var failure = failure
    if failure.code == .corrupted { failure.message += " Run ckpt-verify to see the extent." }
    return failure
  }

  /// Loads what chunk `chunk` has of `range` to its place in `target`.
  func loadPart(
    of entry: TensorTable.Entry, chunk: Int, _ range: Range<UInt64>,
    into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let grid = index.tensors.grid
    let start = UInt64(chunk) * UInt64(grid.chunkByteCount)
    let end = start + UInt64(grid.rawByteCount(chunk: chunk, of: entry.byteCount))
    let part = max(start, range.lowerBound)..<min(end, range.upperBound)
    let place = Int(part.lowerBound - range.lowerBound)..<Int(part.upperBound - range.lowerBound)
    // SAFETY: `part` lies in `range`, so `place` lies in `target`.
    let destination = unsafe UnsafeMutableRawBufferPointer(rebasing: target[place])
    if part == start..<end {
      unsafe try loader.load(entry.firstChunk + chunk, into: destination)
      return
    }
    try workspaces.withTool { (workspace) throws(CheckpointError) in
      let number = entry.firstChunk + chunk
      let whole = unsafe try workspace.rawBytes(of: number, Int(end - start)) {
        (memory) throws(CheckpointError) in
        unsafe try loader.load(number, into: memory, by: workspace)
      }
      let wanted = Int(part.lowerBound - start)..<Int(part.upperBound - start)
      unsafe destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: whole[wanted]))
    }
  }
}
