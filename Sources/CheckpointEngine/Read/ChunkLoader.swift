internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

/// Reads single chunks of a file and checks both of their checksums.
struct ChunkLoader: Sendable {
  let file: OpenFile
  let index: FileIndex
  let workspaces: LendingPool<ChunkWorkspace>

  /// Reads chunk `number` of the file into all of `target`.
  func load(
    _ number: Int, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    try workspaces.withTool { (workspace) throws(CheckpointError) in
      unsafe try load(number, into: target, by: workspace)
    }
  }

  /// The form for who has a workspace.
  func load(
    _ number: Int, into target: UnsafeMutableRawBufferPointer, by workspace: ChunkWorkspace
  ) throws(CheckpointError) {
    let entry = index.chunks.entries[number]
    guard entry.codec != .stored else {
      unsafe try file.read(into: target, at: entry.storedOffset)
      // SAFETY: the span lives for this call.
      let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(target))
      return try check(entry, bytes, .storedChunk)
    }
    let stored = unsafe workspace.storedBytes(Int(entry.storedByteCount))
    unsafe try file.read(into: stored, at: entry.storedOffset)
    // SAFETY: the memory is this thread's until the end of this call, as the target is.
    let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(stored))
    unsafe try decode(entry, bytes, into: target, by: workspace)
  }

  /// Puts the raw bytes of a chunk into all of `target`, and checks them there.
  func put(
    _ entry: ChunkEntry, _ stored: RawSpan, into target: UnsafeMutableRawBufferPointer,
    by workspace: ChunkWorkspace
  ) throws(CheckpointError) {
    guard entry.codec == .stored else {
      return unsafe try decode(entry, stored, into: target, by: workspace)
    }
    // SAFETY: both have the chunk's raw length: that of a stored chunk is its stored length.
    unsafe stored.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    try check(entry, unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(target)), .storedChunk)
  }

  /// Checks `stored`, decodes it into all of `target` and checks that.
  func decode(
    _ entry: ChunkEntry, _ stored: RawSpan, into target: UnsafeMutableRawBufferPointer,
    by workspace: ChunkWorkspace
  ) throws(CheckpointError) {
    try check(entry, stored, .storedChunk)
    do {
      // SAFETY: the memory is lent for this call.
      unsafe try workspace.decoder.decode(stored, codec: entry.codec, into: target)
    } catch {
      throw damage(entry, .inconsistent("a chunk's stream does not decode to its length"))
    }
    // SAFETY: the span lives for this call.
    let raw = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(target))
    try check(entry, raw, .decodedChunk)
  }

  /// Compares the bytes' checksum, bound to the chunk's identity, with the index.
  func check(
    _ entry: ChunkEntry, _ bytes: RawSpan, _ part: FormatError.Part
  ) throws(CheckpointError) {
    #if Mutants
      if part == .decodedChunk, Mutant.isActive(.rawChecksumUnchecked) { return }
      if part == .storedChunk, Mutant.isActive(.storedChecksumUnchecked) { return }
    #endif
    let expected = part == .decodedChunk ? entry.rawChecksum : entry.storedChecksum
    let computed = entry.identity(in: index.header).checksum(of: bytes)
    guard computed == expected else {
      throw damage(entry, .checksumMismatch(part, stored: expected, computed: computed))
    }
  }

  func damage(
    _ entry: ChunkEntry, _ kind: FormatError.Kind, at offset: UInt64? = nil
  ) -> CheckpointError {
    CheckpointError(
      in: file.path, FormatError(kind, at: offset ?? entry.storedOffset),
      tensor: index.tensors.entries[Int(entry.tensor)].name, chunk: Int(entry.chunk))
  }
}
