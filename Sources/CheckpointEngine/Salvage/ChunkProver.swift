internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

/// Finds out which chunks of a damaged file are intact, by reading and decoding them.
///
/// Of several that claim one place the first whose checksums fit is taken. Memory is a row for each place;
/// as much is read as the file has, and a few times that if frames overlap.
final class ChunkProver {
  let file: DamagedFile
  let identity: SaveIdentity
  private let pool: WorkerPool
  private let workspaces = LendingPool { ChunkWorkspace() }
  /// The intact chunk of each place.
  private(set) var proven: [ChunkEntry?]
  private var waiting: [(slot: Int, entry: ChunkEntry)] = []
  private var waitingByteCount: UInt64 = 0
  /// Stored bytes that may still be read.
  ///
  /// Chunks of a file do not overlap, so that once the length of the file is enough; frames that somebody
  /// made up could have the same bytes read a million times.
  private var budget: UInt64
  private var isBudgetSpent = false

  /// Whether a place is empty and some that claimed one were not read.
  var isReadingCutShort: Bool { isBudgetSpent && proven.contains { $0 == nil } }

  private static let waitingByteCountMax: UInt64 = 32 << 20
  private static let waitingCountMax = 4096
  private static let budgetFactor: UInt64 = 4

  init(_ file: DamagedFile, _ identity: SaveIdentity, slotCount: Int, pool: WorkerPool) {
    self.file = file
    self.identity = identity
    self.pool = pool
    proven = [ChunkEntry?](repeating: nil, count: slotCount)
    // No file system has longer files, and no product overflows.
    budget = min(file.byteCount, 1 << 60) * Self.budgetFactor + Self.waitingByteCountMax
  }

  /// Adds a place.
  func makeSlot() -> Int {
    proven.append(nil)
    return proven.count - 1
  }

  /// Whether a row could be that of a chunk of this file, before its bytes are looked at.
  func isPossible(_ entry: ChunkEntry) -> Bool {
    guard entry.frameOffset <= file.byteCount,
      file.byteCount - entry.frameOffset >= UInt64(ChunkFrame.byteCount),
      UInt64(entry.storedByteCount) <= file.byteCount - entry.storedOffset,
      entry.rawByteCount > 0, entry.rawByteCount <= UInt32(Limits.default.chunkByteCountMax)
    else { return false }
    guard entry.codec != .stored else {
      return entry.storedByteCount == entry.rawByteCount
        && entry.storedChecksum == entry.rawChecksum
    }
    let limit = ChunkDecoder.rawByteCountMax(
      storedByteCount: entry.storedByteCount, codec: entry.codec)
    return entry.codec == identity.version.codec && entry.storedByteCount > 0
      && entry.storedByteCount < entry.rawByteCount && entry.rawByteCount <= limit
  }

  /// Takes a row that may be the chunk of a place.
  func offer(_ entry: ChunkEntry, for slot: Int) {
    guard proven[slot] == nil, isPossible(entry) else { return }
    let cost = UInt64(entry.storedByteCount)
    guard cost <= budget else { return isBudgetSpent = true }
    budget -= cost
    waiting.append((slot, entry))
    waitingByteCount += cost
    if waitingByteCount >= Self.waitingByteCountMax || waiting.count >= Self.waitingCountMax {
      flush()
    }
  }

  /// Examines what was taken; afterwards ``proven`` says all.
  func flush() {
    let (rows, identity) = (waiting, identity)
    waiting.removeAll(keepingCapacity: true)
    waitingByteCount = 0
    let results = pool.map(rows.count) { number in
      workspaces.withTool { workspace in
        file.file.hasIntact(rows[number].entry, of: identity, by: workspace)
      }
    }
    for (row, isIntact) in zip(rows, results) where isIntact && proven[row.slot] == nil {
      proven[row.slot] = row.entry
    }
  }
}

extension OpenFile {
  fileprivate func hasIntact(
    _ entry: ChunkEntry, of identity: SaveIdentity, by workspace: ChunkWorkspace
  ) -> Bool {
    (try? withRawBytes(of: entry, identity, by: workspace) { _ in }) != nil
  }

  /// Reads and decodes a chunk, checks it, and lends its raw bytes.
  func withRawBytes(
    of entry: ChunkEntry, _ identity: SaveIdentity, by workspace: ChunkWorkspace,
    _ body: (RawSpan) throws -> Void
  ) throws {
    let stored = unsafe workspace.storedBytes(Int(entry.storedByteCount))
    unsafe try read(into: stored, at: entry.storedOffset)
    // SAFETY: the memory is this thread's until the end of this call.
    let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(stored))
    try check(entry, identity, bytes, .storedChunk)
    guard entry.codec != .stored else { return try body(bytes) }
    let target = unsafe workspace.rawBytes(Int(entry.rawByteCount))
    unsafe try workspace.decoder.decode(bytes, codec: entry.codec, into: target)
    let raw = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(target))
    try check(entry, identity, raw, .decodedChunk)
    try body(raw)
  }

  private func check(
    _ entry: ChunkEntry, _ identity: SaveIdentity, _ bytes: RawSpan, _ part: FormatError.Part
  ) throws(CheckpointError) {
    let expected = part == .storedChunk ? entry.storedChecksum : entry.rawChecksum
    let computed = identity.chunk(entry).checksum(of: bytes)
    guard computed == expected else {
      throw CheckpointError(
        in: path,
        FormatError(
          .checksumMismatch(part, stored: expected, computed: computed), at: entry.storedOffset))
    }
  }
}

extension SaveIdentity {
  /// Which chunk a row is of.
  fileprivate func chunk(_ entry: ChunkEntry) -> ChunkIdentity {
    ChunkIdentity(
      formatVersion: version, saveIdentifier: identifier, tensor: entry.tensor, chunk: entry.chunk,
      rawByteCount: entry.rawByteCount)
  }
}
