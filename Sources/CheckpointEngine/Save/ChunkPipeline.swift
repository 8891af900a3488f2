internal import CheckpointFormat
internal import CheckpointStorage

/// Turns a stream of raw tensor bytes into framed chunks in a file.
///
/// The calling thread hands bytes to a ring of slots; the pool's threads encode those and put them, in order,
/// where they wait for the disk. The bytes written depend on the tensors alone and not on the number of
/// threads, and the extra memory is the ring, whatever the model's size.
///
/// Each byte is copied once, before its checksum is taken: a thread that goes on writing into a
/// tensor during a save can spoil values, but never make a file that does not verify. Whole chunks are copied by the
/// threads that encode them, which have them in their caches then.
final class ChunkPipeline {
  private let tensors: TensorTable
  private let header: CheckpointHeader
  private let output: SequentialOutput
  private let pool: WorkerPool
  private let resources: SaveResources
  private let ring: SlotRing
  private let slots: [EncodingSlot]
  private var current = 0
  private let places: OutputPlaces
  /// How many slots were submitted.
  private var turn = 0
  /// The end of the file if every slot at work stays as long as it may become.
  private var outputEndMax: UInt64
  private(set) var chunks = ChunkTable()
  /// The tensor whose bytes come next, and how many of them have come.
  private var tensor = 0
  private var tensorByteCount: UInt64 = 0
  private var chunkBytesMissing = 0

  init(
    _ tensors: TensorTable, header: CheckpointHeader, encodes: Bool,
    output: SequentialOutput, pool: WorkerPool, resources: SaveResources
  ) {
    self.tensors = tensors
    self.header = header
    self.output = output
    self.pool = pool
    self.resources = resources
    places = OutputPlaces(from: output.byteCount)
    outputEndMax = output.byteCount
    // No more than there is to save: small states are saved often, and by many in the tests.
    let capacity = min(
      max(tensors.grid.chunkByteCount, Self.slotByteCountMin),
      tensors.chunkCount * tensors.grid.chunkByteCount)
    let pieceCountMax = min(Self.slotPieceCountMax, tensors.chunkCount)
    // Two more than threads: one being filled, one being written.
    let count = pool.threadCount == 0 ? 1 : pool.threadCount + 2
    ring = resources.takeRing(
      SlotRing.Shape(
        count: count, capacity: capacity, pieceCountMax: pieceCountMax,
        encoding: encodes ? header.formatVersion : nil))
    slots = ring.slots
  }

  /// Small chunks are collected up to this size and encoded and written together.
  private static let slotByteCountMin = 256 << 10
  /// The most of them.
  private static let slotPieceCountMax = 2048

  deinit { resources.giveBack(ring) }

  /// Waits for the threads: after a failure, they may still be in the memory of the slots and of the output.
  func end() {
    // The oldest first: a caller that is a thread of the pool runs what has not begun, and a slot waits for those
    // before it.
    for distance in 1...slots.count { slots[(current + distance) % slots.count].job?.wait() }
  }

  /// Takes the next bytes of the tensors in the order of the plan.
  ///
  /// - Precondition: no more bytes come than the plan's tensors have.
  func append(_ bytes: RawSpan) throws(StorageError) {
    var hasLent = false
    // Whatever happens, what was lent is the caller's again after this.
    defer { if hasLent { for slot in slots { slot.endLoan() } } }
    var rest = bytes
    while rest.byteCount > 0 {
      let byteCount = try prepare(atMost: rest.byteCount)
      let part = rest.extracting(first: byteCount)
      // SAFETY: the bytes are lent for this call, in which every loan ends; `fill` lends exactly `byteCount`.
      unsafe part.withUnsafeBytes { source in
        if byteCount >= Self.slotByteCountMin, slots[current].canBorrow(byteCount) {
          hasLent = true
          unsafe slots[current].borrow(source)
        } else {
          unsafe slots[current].fill(byteCount) { unsafe $0.copyMemory(from: source) }
        }
      }
      advance(byteCount)
      rest = rest.extracting(droppingFirst: byteCount)
    }
  }

  /// Has `body` produce the next `byteCount` bytes, range by range.
  ///
  /// - Parameters:
  ///   - byteCount: How many bytes.
  ///   - body: Is given the offset of each range and a buffer to fill completely.
  /// - Throws: ``StorageError``, or what `body` throws.
  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    var done: UInt64 = 0
    while done < byteCount {
      let count = try prepare(atMost: Int(min(byteCount - done, UInt64(Int32.max))))
      unsafe try slots[current].fill(count) { target in
        // What `body` leaves out must not be what the buffer held before.
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
        try unsafe body(done, target)
      }
      advance(count)
      done += UInt64(count)
    }
  }

  /// Whether every byte of every tensor has come.
  var isComplete: Bool {
    guard chunkBytesMissing == 0 else { return false }
    let last = tensors.entries.lastIndex { $0.aliasOf == nil && $0.byteCount > 0 }
    guard let last else { return true }
    return tensor == last && tensorByteCount == tensors.entries[last].byteCount
  }

  /// Writes what is still in the slots.
  func finish() throws(StorageError) {
    submit()
    for _ in slots { try nextSlot() }
  }

  /// Makes room in a begun chunk; returns how many bytes it takes.
  private func prepare(atMost byteCount: Int) throws(StorageError) -> Int {
    try output.requireSound()
    if chunkBytesMissing == 0 { try beginChunk() }
    return min(byteCount, chunkBytesMissing)
  }

  private func beginChunk() throws(StorageError) {
    while tensors.entries[tensor].aliasOf != nil
      || tensorByteCount == tensors.entries[tensor].byteCount
    {
      tensor += 1
      tensorByteCount = 0
    }
    let chunk = Int(tensorByteCount / UInt64(tensors.grid.chunkByteCount))
    let rawByteCount = tensors.grid.rawByteCount(
      chunk: chunk, of: tensors.entries[tensor].byteCount)
    if !slots[current].hasRoom(for: rawByteCount) {
      submit()
      try nextSlot()
    }
    slots[current].begin(
      ChunkIdentity(
        in: header, tensor: UInt32(tensor), chunk: UInt32(chunk),
        rawByteCount: UInt32(rawByteCount)),
      of: tensors.entries[tensor].descriptor.dtype, rawOffset: tensorByteCount)
    chunkBytesMissing = rawByteCount
  }

  private func advance(_ byteCount: Int) {
    chunkBytesMissing -= byteCount
    tensorByteCount += UInt64(byteCount)
  }

  private func submit() {
    guard !slots[current].pieces.isEmpty else { return }
    let slot = slots[current]
    outputEndMax += UInt64(slot.outputByteCountMax)
    let ring = output.makeRoom(upTo: outputEndMax) ? output.ring : nil
    let (turn, places) = (turn, places)
    self.turn += 1
    // SAFETY: the slot belongs to the job until `nextSlot` or `end` has waited for it.
    nonisolated(unsafe) let lent = slot
    slot.job = pool.submit { unsafe lent.encode(turn: turn, places, into: ring) }
  }

  /// Moves to the next slot of the ring, which holds the oldest chunks; writes and empties it.
  private func nextSlot() throws(StorageError) {
    current = (current + 1) % slots.count
    let slot = slots[current]
    guard let job = slot.job else { return }
    job.wait()
    outputEndMax -= UInt64(slot.outputByteCountMax - slot.outputRange.count)
    if slot.isInPlace {
      output.commit(upTo: slot.outputRange.upperBound)
      try output.requireSound()
    } else {
      try slot.withOutput { (bytes) throws(StorageError) in try output.append(bytes) }
    }
    for entry in slot.encodedEntries { chunks.append(entry) }
    slot.reset()
  }
}
