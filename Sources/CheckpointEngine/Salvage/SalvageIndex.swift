internal import CheckpointFormat
internal import CheckpointStorage

/// The tensors of a damaged file, and the intact chunks of each.
struct SalvageIndex {
  struct Tensor {
    var descriptor: TensorDescriptor
    /// The place in the list of the tensor whose name this is, too.
    var aliasOf: Int?
    /// Its chunks in order; nil for those that are lost.
    var chunks: [ChunkEntry?]
    /// Bytes of a full chunk, if a table tells.
    var gridByteCount: UInt64?
    /// Whether what is there could be all of it: made-up tensors may have holes.
    var isPossible = true
  }

  var tensors: [Tensor] = []
  /// Whether chunks that are missing were not looked at.
  private(set) var isReadingCutShort = false

  /// Searches for the chunks.
  init(
    _ source: SalvageSource, in file: DamagedFile, pool: WorkerPool,
    progress: (_ done: UInt64) -> Void
  ) {
    if let table = source.tensors {
      self.init(of: table, source, file, pool, progress)
    } else {
      self.init(withoutTables: source, file, pool, progress)
    }
  }

  /// Fills the places that a tensor table tells.
  private init(
    of table: TensorTable, _ source: SalvageSource, _ file: DamagedFile, _ pool: WorkerPool,
    _ progress: (UInt64) -> Void
  ) {
    let prover = ChunkProver(file, source.identity, slotCount: table.chunkCount, pool: pool)
    let entries = table.entries
    let slot = { (entry: ChunkEntry) -> Int? in
      guard entry.tensor < entries.count else { return nil }
      let tensor = entries[Int(entry.tensor)]
      guard tensor.aliasOf == nil, entry.chunk < tensor.chunkCount,
        table.grid.rawByteCount(chunk: Int(entry.chunk), of: tensor.byteCount)
          == Int(entry.rawByteCount)
      else { return nil }
      return tensor.firstChunk + Int(entry.chunk)
    }
    for row in source.rows { slot(row).map { prover.offer(row, for: $0) } }
    prover.flush()
    if prover.proven.contains(where: { $0 == nil }) {
      Self.forEachFrame(in: file, of: source.identity, progress) { entry in
        slot(entry).map { prover.offer(entry, for: $0) }
      }
      prover.flush()
    }
    isReadingCutShort = prover.isReadingCutShort
    tensors = entries.indices.map { number in
      let entry = entries[number]
      let chunks = entry.firstChunk..<entry.firstChunk + entry.chunkCount
      return Tensor(
        descriptor: entry.descriptor, aliasOf: entry.aliasOf,
        chunks: entry.aliasOf == nil ? Array(prover.proven[chunks]) : [],
        gridByteCount: UInt64(table.grid.chunkByteCount))
    }
  }

  /// Makes up tensors of bytes from the chunks that there are.
  private init(
    withoutTables source: SalvageSource, _ file: DamagedFile, _ pool: WorkerPool,
    _ progress: (UInt64) -> Void
  ) {
    let prover = ChunkProver(file, source.identity, slotCount: 0, pool: pool)
    var slots: [UInt64: Int] = [:]
    func offer(_ entry: ChunkEntry) {
      guard prover.isPossible(entry), entry.tensor < Limits.default[\.tensorCountMax],
        entry.chunk < Limits.default[\.chunkCountMax]
      else { return }
      let key = UInt64(entry.tensor) << 32 | UInt64(entry.chunk)
      guard slots[key] != nil || slots.count < Limits.default.chunkCountMax else { return }
      let slot = slots[key] ?? prover.makeSlot()
      slots[key] = slot
      prover.offer(entry, for: slot)
    }
    for row in source.rows { offer(row) }
    Self.forEachFrame(in: file, of: source.identity, progress, offer)
    prover.flush()
    isReadingCutShort = prover.isReadingCutShort
    var chunks: [UInt32: [(chunk: UInt32, entry: ChunkEntry?)]] = [:]
    for (key, slot) in slots.sorted(by: { $0.key < $1.key }) {
      chunks[UInt32(key >> 32), default: []].append(
        (UInt32(truncatingIfNeeded: key), prover.proven[slot]))
    }
    tensors = chunks.sorted { $0.key < $1.key }.map { Self.madeUp($0.key, $0.value) }
  }

  /// A tensor of which only chunks are known.
  private static func madeUp(
    _ number: UInt32, _ chunks: [(chunk: UInt32, entry: ChunkEntry?)]
  ) -> Tensor {
    let entries = chunks.map(\.entry)
    let sizes = entries.map { UInt64($0?.rawByteCount ?? 0) }
    let isWithoutHoles =
      zip(UInt32(0)..., chunks).allSatisfy { $0 == $1.chunk } && !entries.contains(nil)
    // All chunks of a tensor but the last have one size.
    let fits = sizes.dropLast().allSatisfy { $0 == sizes[0] } && sizes[sizes.count - 1] <= sizes[0]
    return Tensor(
      descriptor: TensorDescriptor(
        name: "salvaged/\(number)", dtype: .uint8, shape: [Int(clamping: sizes.reduce(0, +))]),
      chunks: entries, isPossible: isWithoutHoles && fits)
  }

  /// Looks at every multiple of 64.
  private static func forEachFrame(
    in file: DamagedFile, of identity: SaveIdentity, _ progress: (UInt64) -> Void,
    _ body: (ChunkEntry) -> Void
  ) {
    file.forEachWindow { offset, bytes in
      var index = 0
      while bytes.byteCount - index >= ChunkFrame.byteCount {
        if bytes.halfWord(at: index) == ChunkFrame.magic,
          let frame = ChunkFrame(
            salvaging: bytes.extracting(index..<index + ChunkFrame.byteCount),
            as: [identity.version]),
          frame.saveIdentity == identity
        {
          body(frame.entry(at: offset + UInt64(index)))
        }
        index += Int(Layout.alignment)
      }
      progress(offset + UInt64(bytes.byteCount))
    }
  }
}
