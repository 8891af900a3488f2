internal import CheckpointFormat
internal import CheckpointStorage

/// A file written from its start to its end, which remembers a failure for ever.
///
/// Bytes wait in a ring of memory until there is a portion of whole blocks, and each block is written once, in
/// order. What is less waits for the rest: a transfer past the page cache takes whole blocks only, and a file
/// system that copies on write (btrfs) may have written a block back before it is filled up, and
/// then asks for room that was not reserved. Large files are written by a thread of their own, while the
/// rest of the ring is filled.
///
/// After a failed write, fsync, close and rename of the truncated file would all succeed. So the
/// first error stays, every later call throws it again, and nothing is published.
final class SequentialOutput {
  /// A portion that is being written, or was.
  private struct Portion {
    let start: UInt64
    let job: Job
  }

  private let resources: SaveResources
  private let writer: BlockWriter
  private var memory: PageBuffer?
  /// What bytes wait in; others may fill parts of it that ``makeRoom(upTo:)`` has promised.
  private(set) var ring: OutputRing?
  /// The last portions, as far as nobody has waited for them.
  private var portions: [Portion] = []
  private var portionByteCount = 0
  private var portionByteCountMax = 0
  /// Where the portion that is being filled begins.
  private var portionStart: UInt64 = 0
  private var isLarge = false
  /// What comes before the first portion of a large file.
  private var preparation: Job?
  /// Bytes accepted so far, which is where the next ones go.
  private(set) var byteCount: UInt64 = 0

  private static let blockByteCount = Int(Layout.fileAlignment)

  init(_ backend: any StorageBackend, _ descriptor: Descriptor, _ resources: SaveResources) {
    self.resources = resources
    writer = BlockWriter(backend, descriptor, now: resources.now)
  }

  deinit { end() }

  /// Bytes that the file system has taken: of all that were accepted, what was not waiting.
  var writtenByteCount: UInt64 { writer.writtenByteCount }

  /// How long the file system took for them.
  var writingNanoseconds: UInt64 { writer.writingNanoseconds }

  #if Mutants
    /// Whether it is written past the page cache.
    var isUncached: Bool { writer.isUncached }
  #endif

  /// Reserves room and decides how the file is written, before its first byte.
  func begin(fileByteCountMax: UInt64) {
    let options = resources.options
    isLarge = fileByteCountMax >= options.largeFileByteCount
    if isLarge {
      // With small ones disk and caller wait for each other, so that each is twice as large as the one before. Of a
      // file that fills little memory, the last portions are smaller as well.
      let share = Int(clamping: fileByteCountMax / 8)
      portionByteCount = min(options.firstPortionByteCount, options.portionByteCountMax)
      portionByteCountMax = portionByteCount
      while 2 * portionByteCountMax <= min(share, options.portionByteCountMax) {
        portionByteCountMax *= 2
      }
      let (writer, isUncached) = (writer, !resources.isUncachedRefused)
      // Reserving takes about as long as encoding the first portions.
      preparation = resources.writerPool.submit {
        writer.reserve(byteCountMax: fileByteCountMax)
        writer.expectMuch(isUncached: isUncached)
      }
    } else {
      writer.reserve(byteCountMax: fileByteCountMax)
      portionByteCount = min(options.smallPortionByteCount, Int(fileByteCountMax))
      portionByteCountMax = portionByteCount
    }
    let memory = isLarge ? resources.takeMemory() : PageBuffer(byteCount: portionByteCount)
    self.memory = memory
    // The portions before the first of full length are as long as one of them but for the very first, so that
    // no portion goes over the end of the ring if the file begins behind that much.
    ring = OutputRing(
      memory, byteCount: memory.byteCount / portionByteCountMax * portionByteCountMax,
      start: portionByteCount % portionByteCountMax)
  }

  /// Appends `bytes`.
  func append(_ bytes: RawSpan) throws(StorageError) {
    try requireSound()
    var rest = bytes
    while !rest.isEmpty {
      let portionEnd = portionStart + UInt64(portionByteCount)
      let count = min(rest.byteCount, Int(portionEnd - byteCount))
      let end = byteCount + UInt64(count)
      guard makeRoom(upTo: end), let target = unsafe ring?.bytes(byteCount..<end) else {
        preconditionFailure("a part of a portion has room, in one piece")
      }
      unsafe rest.extracting(first: count).withUnsafeBytes { unsafe target.copyMemory(from: $0) }
      commit(upTo: end)
      rest = rest.extracting(droppingFirst: count)
    }
    try requireSound()
  }

  /// Appends zeros up to `offset`.
  func pad(to offset: UInt64) throws(StorageError) {
    try append([UInt8](repeating: 0, count: Int(offset - byteCount)).rawSpan)
  }

  /// Waits until the ring's memory for what comes next, up to `end`, is not being written any more.
  ///
  /// - Returns: Whether there is so much; if not, less has to be asked for.
  func makeRoom(upTo end: UInt64) -> Bool {
    guard let ring, end - portionStart <= UInt64(ring.byteCount) else { return false }
    while let oldest = portions.first, oldest.start + UInt64(ring.byteCount) < end {
      oldest.job.wait()
      portions.removeFirst()
    }
    return true
  }

  /// Takes what was put into the ring up to `end`, and has full portions written.
  func commit(upTo end: UInt64) {
    byteCount = end
    while byteCount - portionStart >= UInt64(portionByteCount) { submit(portionByteCount) }
  }

  /// Writes what was waiting; when this returns, the file system has taken every whole block.
  func finish() throws(StorageError) {
    try requireSound()
    submit(Int(byteCount - portionStart) / Self.blockByteCount * Self.blockByteCount)
    waitForWriter()
    try requireSound()
  }

  /// Refuses everything from here on: the file is about to be closed, and its descriptor's number
  /// may soon be another file's.
  ///
  /// The memory goes back to the store; a second time nothing is left to do.
  func end() {
    writer.end()
    waitForWriter()
    if writer.wasUncachedRefused { resources.isUncachedRefused = true }
    if isLarge, let memory { resources.giveBack(memory) }
    memory = nil
    ring = nil
  }

  /// Throws the first failure again.
  func requireSound() throws(StorageError) { try writer.requireSound() }

  /// Has the next portion written.
  private func submit(_ count: Int) {
    guard count > 0, let ring else { return }
    let range = portionStart..<portionStart + UInt64(count)
    let writer = writer
    let write: @Sendable () -> Void = {
      // SAFETY: the range was filled before, and is not filled again before `makeRoom` has waited for this job.
      guard let bytes = unsafe ring.bytes(range) else {
        preconditionFailure("a portion lies in one piece")
      }
      writer.write(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes)))
    }
    if isLarge {
      portions.append(Portion(start: range.lowerBound, job: resources.writerPool.submit(write)))
    } else {
      write()
    }
    portionStart = range.upperBound
    portionByteCount = min(2 * portionByteCount, portionByteCountMax)
  }

  private func waitForWriter() {
    preparation?.wait()
    preparation = nil
    for portion in portions { portion.job.wait() }
    portions = []
  }
}
