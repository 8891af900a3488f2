internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

/// What the saves of one store use one after another: memory, a thread, and what is known of the
/// file system.
///
/// Fresh pages cost several times what filling known ones does, so buffers are kept, those of one
/// save and no more. Used by the thread that saves.
final class SaveResources {
  let options: OutputOptions
  /// The thread that writes large files; none if nothing runs beside the caller.
  let writerPool: WorkerPool
  /// A clock that never goes back.
  let now: @Sendable () -> UInt64
  /// How long saves took.
  var pace = SavePace()
  /// Whether the file system is known to have no transfers past the page cache.
  var isUncachedRefused = false

  private var memory: PageBuffer?
  private var ring: SlotRing?

  /// - Parameters:
  ///   - options: How files are written.
  ///   - pool: The threads that encode.
  ///   - now: A clock in nanoseconds that never goes back.
  init(_ options: OutputOptions, beside pool: WorkerPool, now: @escaping @Sendable () -> UInt64) {
    self.options = options
    self.now = now
    writerPool = WorkerPool(threadCount: min(pool.threadCount, 1), priority: pool.priority)
  }

  /// Memory in which the bytes of a large file wait for the disk.
  func takeMemory() -> PageBuffer {
    defer { memory = nil }
    if let memory { return memory }
    // Without a thread that writes, none could be filled meanwhile. With it, one portion is being written, some wait
    // and some are filled. More gain nothing, and the C library gives 32 MiB back to the system each time.
    let portionCount = writerPool.threadCount == 0 ? 1 : 6
    return PageBuffer(byteCount: portionCount * options.portionByteCountMax)
  }

  /// Keeps memory, which nobody uses any more, for the next save.
  func giveBack(_ memory: PageBuffer) { self.memory = memory }

  /// Empty slots that have room for as much as is asked for.
  func takeRing(_ shape: SlotRing.Shape) -> SlotRing {
    defer { ring = nil }
    if let ring, ring.shape.covers(shape) { return ring }
    ring = nil  // not both at once
    return SlotRing(shape)
  }

  /// Keeps slots, which no job uses any more, for the next save.
  func giveBack(_ ring: SlotRing) {
    for slot in ring.slots { slot.reset() }
    self.ring = ring
  }
}

/// The slots of a pipeline.
struct SlotRing {
  /// What they have room for.
  struct Shape {
    var count: Int
    var capacity: Int
    var pieceCountMax: Int
    /// The version that chunks are encoded for; nil where they are stored.
    var encoding: FormatVersion?

    func covers(_ other: Shape) -> Bool {
      count == other.count && encoding == other.encoding && capacity >= other.capacity
        && pieceCountMax >= other.pieceCountMax
    }
  }

  let shape: Shape
  let slots: [EncodingSlot]

  init(_ shape: Shape) {
    self.shape = shape
    slots = (0..<shape.count).map { _ in
      EncodingSlot(
        capacity: shape.capacity, pieceCountMax: shape.pieceCountMax,
        encoder: shape.encoding.map { ChunkEncoder(for: $0) })
    }
  }
}
