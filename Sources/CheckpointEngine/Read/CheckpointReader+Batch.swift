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
    let entries = index.tensors.entries
    var wanted: [WantedChunk] = []
    unsafe wanted.reserveCapacity(tensors.count)
    var guess = 0
    var isInOrder = true
    for unsafe(name, target) in unsafe tensors {
      let number = try number(of: name, trying: guess)
      guess = number + 1
      let entry = entries[number]
      if entry.byteCount != UInt64(target.count) { try requireSize(target.count, of: entry) }
      if let last = wanted.last, last.number > entry.firstChunk { isInOrder = false }
      unsafe add(entry, target, to: &wanted)
    }
    if !isInOrder { wanted.sort { $0.number < $1.number } }
    try load(wanted)
  }

  private func add(
    _ entry: TensorTable.Entry, _ target: UnsafeMutableRawBufferPointer,
    to wanted: inout [WantedChunk]
  ) {
    if entry.chunkCount == 1 {
      unsafe wanted.append(WantedChunk(number: entry.firstChunk, target: target))
      return
    }
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
    let advice = ReadOnAdvice(file)
    // SAFETY: every chunk has a target of its own, and all are done when `map` returns.
    nonisolated(unsafe) let wanted = wanted
    let failures = pool.map(groups.count) { group -> CheckpointError? in
      do throws(CheckpointError) {
        let chunks = unsafe wanted[groups[group]]
        if let first = chunks.first { advice.note(index.chunks.entries[first.number].frameOffset) }
        try load(chunks)
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
  /// Those, the zeros behind the one chunk and the frame of the other.
  private static let skippedByteCountMax = Int(gapByteCountMax) + 2 * ChunkFrame.byteCount
  /// Chunks that are read straight to where they go.
  ///
  /// Each has two places in memory, of which the system takes 1024. Where there are more in a group, they are so
  /// small that copying them is less work than telling it where each goes.
  private static let scatteredCountMax = 512

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
    if group.count > 1 {
      let isDone = try workspaces.withTool { (workspace) throws(CheckpointError) in
        isScattered(group)
          ? try loadInPlace(group, by: workspace) : try loadTogether(group, by: workspace)
      }
      if isDone { return }
    }
    for chunk in group { unsafe try loader.load(chunk.number, into: chunk.target) }
  }

  /// Whether the system shall fill the targets: no chunk is encoded, none stands twice, and there are not too
  /// many.
  private func isScattered(_ group: ArraySlice<WantedChunk>) -> Bool {
    guard group.count <= Self.scatteredCountMax else { return false }
    let entries = index.chunks.entries
    var next = 0
    for chunk in group {
      guard chunk.number >= next, entries[chunk.number].codec == .stored else { return false }
      next = chunk.number + 1
    }
    return true
  }

  /// Reads chunks that are stored straight into their targets, and checks them there.
  ///
  /// - Returns: Whether they could be read.
  private func loadInPlace(
    _ group: ArraySlice<WantedChunk>, by workspace: ChunkWorkspace
  ) throws(CheckpointError) -> Bool {
    let entries = index.chunks.entries[group[group.startIndex].number...]
    let start = entries[entries.startIndex].storedOffset
    // What lies between two of them is put one over the other: nobody wants it.
    let between = unsafe workspace.storedBytes(Self.skippedByteCountMax)
    var buffers: [UnsafeMutableRawBufferPointer] = unsafe []
    unsafe buffers.reserveCapacity(2 * group.count)
    var end = start
    for chunk in group {
      let offset = entries[chunk.number].storedOffset
      // SAFETY: chunks of a group are no further apart than that memory is long.
      unsafe buffers.append(
        UnsafeMutableRawBufferPointer(rebasing: between[..<Int(offset - end)]))
      unsafe buffers.append(chunk.target)
      end = offset + UInt64(entries[chunk.number].storedByteCount)
    }
    guard unsafe file.read(intoEach: buffers, Int(end - start), at: start) else { return false }
    for chunk in group {
      // SAFETY: the span lives for this call.
      let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(chunk.target))
      try loader.check(entries[chunk.number], bytes, .storedChunk)
    }
    return true
  }

  /// Reads chunks, and decodes or copies them to their targets.
  ///
  /// - Returns: Whether they could be read.
  private func loadTogether(
    _ group: ArraySlice<WantedChunk>, by workspace: ChunkWorkspace
  ) throws(CheckpointError) -> Bool {
    guard let first = group.first, let last = group.last else { return true }
    let entries = index.chunks.entries
    let start = entries[first.number].storedOffset
    let end = entries[last.number]
    let byteCount = Int(end.storedOffset - start) + Int(end.storedByteCount)
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
}

/// A chunk of the file, and where its raw bytes shall be.
// SAFETY (@safe): whoever reads the target marks it, and holds it only as long as the caller lends it.
@safe
private struct WantedChunk {
  let number: Int
  let target: UnsafeMutableRawBufferPointer
}
