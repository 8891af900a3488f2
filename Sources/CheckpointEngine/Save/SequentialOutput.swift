internal import CheckpointFormat
internal import CheckpointStorage

/// A file written from its start to its end, which remembers a failure for ever.
///
/// Bytes are collected in buffers of whole blocks, and each block is written once, in order. What is
/// less waits for the rest: a transfer past the page cache takes whole blocks only, and a file
/// system that copies on write (btrfs) may have written a block back before it is filled up, and
/// then asks for room that was not reserved. Large files are written by a thread of their own, one
/// buffer while others are filled.
///
/// After a failed write, fsync, close and rename of the truncated file would all succeed. So the
/// first error stays, every later call throws it again, and nothing is published.
final class SequentialOutput {
  private let resources: SaveResources
  private let writer: BlockWriter
  private var buffers: [PageBuffer] = []
  /// What writes each of the buffers.
  private var jobs: [Job?] = []
  private var current = 0
  /// How much of the current buffer is filled, and how much of each buffer is used.
  private var filledByteCount = 0
  private var portionByteCount = 0
  private var portionByteCountMax = 0
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
      buffers = resources.takeBuffers()
      // Of a file that fills few buffers, the last portions are smaller as well.
      let share = Int(clamping: fileByteCountMax / 8) / Self.blockByteCount * Self.blockByteCount
      portionByteCountMax = min(options.bufferByteCount, max(share, options.firstPortionByteCount))
      // With small ones disk and caller wait for each other, so that each is twice as large as the one before.
      portionByteCount = min(portionByteCountMax, options.firstPortionByteCount)
      let (writer, isUncached) = (writer, !resources.isUncachedRefused)
      // Reserving takes about as long as encoding the first portions.
      preparation = resources.writerPool.submit {
        writer.reserve(byteCountMax: fileByteCountMax)
        writer.expectMuch(isUncached: isUncached)
      }
    } else {
      writer.reserve(byteCountMax: fileByteCountMax)
      portionByteCount = min(options.smallBufferByteCount, Int(fileByteCountMax))
      portionByteCountMax = portionByteCount
      buffers = [PageBuffer(byteCount: portionByteCount)]
    }
    jobs = buffers.map { _ in nil }
  }

  /// Appends `bytes`.
  func append(_ bytes: RawSpan) throws(StorageError) {
    try requireSound()
    var rest = bytes
    while !rest.isEmpty {
      let count = min(rest.byteCount, portionByteCount - filledByteCount)
      buffers[current].copy(rest.extracting(first: count), to: filledByteCount)
      filledByteCount += count
      rest = rest.extracting(droppingFirst: count)
      if filledByteCount == portionByteCount { try submit() }
    }
    byteCount += UInt64(bytes.byteCount)
  }

  /// Appends zeros up to `offset`.
  func pad(to offset: UInt64) throws(StorageError) {
    try append([UInt8](repeating: 0, count: Int(offset - byteCount)).rawSpan)
  }

  /// Writes what was waiting; when this returns, the file system has taken every whole block.
  func finish() throws(StorageError) {
    try submit()
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
    if isLarge, !buffers.isEmpty { resources.giveBack(buffers) }
    buffers = []
  }

  /// Throws the first failure again.
  func requireSound() throws(StorageError) { try writer.requireSound() }

  /// Has the current buffer written and goes on to the next, which it waits for.
  private func submit() throws(StorageError) {
    let byteCount = filledByteCount / Self.blockByteCount * Self.blockByteCount
    filledByteCount = 0
    guard byteCount > 0 else { return try requireSound() }
    let writer = writer
    // SAFETY: the buffer belongs to the job until `submit` or `waitForWriter` has waited for it.
    nonisolated(unsafe) let buffer = buffers[current]
    if isLarge {
      jobs[current] = resources.writerPool.submit {
        unsafe buffer.withBytes(first: byteCount) { writer.write($0) }
      }
    } else {
      unsafe buffer.withBytes(first: byteCount) { writer.write($0) }
    }
    portionByteCount = min(2 * portionByteCount, portionByteCountMax)
    current = (current + 1) % buffers.count
    jobs[current]?.wait()
    jobs[current] = nil
    try requireSound()
  }

  private func waitForWriter() {
    preparation?.wait()
    preparation = nil
    for index in jobs.indices {
      jobs[index]?.wait()
      jobs[index] = nil
    }
  }
}
