internal import CheckpointFormat
internal import CheckpointStorage

extension CheckpointReader {
  /// Reads many whole tensors into the caller's memory.
  ///
  /// All threads work on the chunks of all tensors, in the order of the file: many small tensors are as
  /// fast as few large ones, and small ones that are neighbours are read together. When this throws, the
  /// contents of all targets are unspecified.
  ///
  /// - Parameter tensors: Names, compared by the bytes of their UTF-8, each with memory of as many bytes
  ///   as the tensor has. A name may stand more than once, also as an alias; no two targets may overlap.
  /// - Throws: ``CheckpointError``: before anything is read `.notFound`, or `.incompatibleState` if a
  ///   size differs; then of what could not be read the first in the order of the file, `.corrupted` or
  ///   `.unreadable`.
  /// - Complexity: 24 bytes of extra memory per chunk, and what a reader keeps.
  public func read(
    _ tensors: [(name: String, target: UnsafeMutableRawBufferPointer)]
  ) throws(CheckpointError) {
    var wanted: [WantedChunk] = []
    var guess = 0
    for unsafe(name, target) in unsafe tensors {
      let number = try number(of: name, trying: guess)
      guess = number + 1
      let entry = index.tensors.entries[number]
      try requireSize(target.count, of: entry)
      unsafe add(entry, target, to: &wanted)
    }
    let isInOrder = zip(wanted, wanted.dropFirst()).allSatisfy { $0.number <= $1.number }
    if !isInOrder { wanted.sort { $0.number < $1.number } }
    try load(wanted)
  }

  private func add(
    _ entry: TensorTable.Entry, _ target: UnsafeMutableRawBufferPointer,
    to wanted: inout [WantedChunk]
  ) {
    let size = index.tensors.grid.chunkByteCount
    for chunk in 0..<entry.chunkCount {
      let start = chunk * size
      // SAFETY: the target has the tensor's size, of which this chunk begins at `start`.
      let place = unsafe UnsafeMutableRawBufferPointer(
        rebasing: target[start..<min(start + size, target.count)])
      unsafe wanted.append(WantedChunk(number: entry.firstChunk + chunk, target: place))
    }
  }

  private func load(_ wanted: [WantedChunk]) throws(CheckpointError) {
    let groups = grouped(wanted)
    // SAFETY: every chunk has a target of its own, and all are done when `map` returns.
    nonisolated(unsafe) let wanted = wanted
    let failures = pool.map(groups.count) { group -> CheckpointError? in
      do throws(CheckpointError) {
        unsafe try load(wanted[groups[group]])
        return nil
      } catch {
        return error
      }
    }
    guard let failure = failures.lazy.compactMap({ $0 }).first else { return }
    throw advising(failure)
  }

  /// Bytes of the file that are read at once.
  private static let groupByteCountMax: UInt64 = 1 << 20
  /// Bytes between two chunks that are rather read than left out.
  private static let gapByteCountMax: UInt64 = 16 << 10

  /// What is read together: neighbours of which no one is large.
  private func grouped(_ wanted: [WantedChunk]) -> [Range<Int>] {
    let entries = index.chunks.entries
    var groups: [Range<Int>] = []
    var first = 0
    for place in wanted.indices.dropFirst() {
      let (one, other) = (entries[wanted[place - 1].number], entries[wanted[place].number])
      let start = entries[wanted[first].number].frameOffset
      let isTogether =
        max(one.rawByteCount, other.rawByteCount) <= ReadAhead.chunkByteCountMax
        && other.frameOffset <= one.endOffset + Self.gapByteCountMax
        && other.endOffset - start <= Self.groupByteCountMax
      guard !isTogether else { continue }
      groups.append(first..<place)
      first = place
    }
    if !wanted.isEmpty { groups.append(first..<wanted.count) }
    return groups
  }

  /// Reads some chunks at once; if that fails, one by one, so that only what is unreadable fails.
  private func load(_ group: ArraySlice<WantedChunk>) throws(CheckpointError) {
    let entries = index.chunks.entries
    if let first = group.first, let last = group.last, group.count > 1 {
      let start = entries[first.number].storedOffset
      let end = entries[last.number]
      let byteCount = Int(end.storedOffset - start) + Int(end.storedByteCount)
      let isDone = try workspaces.withTool { (workspace) throws(CheckpointError) in
        let memory = unsafe workspace.storedBytes(byteCount)
        guard unsafe (try? file.read(into: memory, at: start)) != nil else { return false }
        // SAFETY: the memory is this thread's until the end of this call.
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory))
        for chunk in group {
          let entry = entries[chunk.number]
          let place = Int(entry.storedOffset - start)
          let stored = bytes.extracting(place..<place + Int(entry.storedByteCount))
          unsafe try loader.put(entry, stored, into: chunk.target, by: workspace)
        }
        return true
      }
      if isDone { return }
    }
    for chunk in group { unsafe try loader.load(chunk.number, into: chunk.target) }
  }
}

/// A chunk of the file, and where its raw bytes shall be.
// SAFETY (@safe): whoever reads the target marks it, and holds it only as long as the caller lends it.
@safe
private struct WantedChunk {
  let number: Int
  let target: UnsafeMutableRawBufferPointer
}
