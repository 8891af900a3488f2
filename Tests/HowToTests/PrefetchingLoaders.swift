// snippet: prefetching-loaders
import CheckpointTraining
import Foundation

/// A batch, by the place of its first sample in the order of an epoch.
struct BatchPosition: Hashable, Sendable {
  var seed: UInt64
  var epoch = 0
  var batch = 0

  /// The place after this one, with `count` batches an epoch.
  func next(of count: Int) -> BatchPosition {
    batch + 1 < count
      ? BatchPosition(seed: seed, epoch: epoch, batch: batch + 1)
      : BatchPosition(seed: seed, epoch: epoch + 1)
  }

  /// The order of an epoch's samples: the same for the same seed and epoch, whenever it is asked.
  func order(of sampleCount: Int) -> [Int] {
    var seeds = SplitMix64(state: seed ^ UInt64(epoch) << 32)
    var generator = SplitMix64(state: seeds.next())
    var order = Array(0..<sampleCount)
    for last in order.indices.dropFirst().reversed() {
      order.swapAt(last, Int(generator.next() % UInt64(last + 1)))
    }
    return order
  }
}
// end of snippet

// snippet: prefetching-loaders
/// Batches that a thread fetches ahead of whoever takes them, at most `depth` at a time.
// SAFETY: both variables are touched under the lock of the condition only.
final class Prefetcher: @unchecked Sendable {
  private let condition = NSCondition()
  private var batches: [[Int]] = []
  private var isClosed = false

  init(from start: BatchPosition, sampleCount: Int, batchSize: Int, depth: Int) {
    Thread.detachNewThread { [self] in
      var position = start
      var order = position.order(of: sampleCount)
      while true {
        let first = position.batch * batchSize
        let batch = Array(order[first..<first + batchSize])  // read the samples here
        guard put(batch, depth) else { return }
        position = position.next(of: sampleCount / batchSize)
        if position.batch == 0 { order = position.order(of: sampleCount) }
      }
    }
  }

  /// Waits for room; false if nobody takes batches any more.
  private func put(_ batch: [Int], _ depth: Int) -> Bool {
    condition.withLock {
      while batches.count == depth && !isClosed { condition.wait() }
      batches.append(batch)
      condition.broadcast()
      return !isClosed
    }
  }

  func take() -> [Int] {
    condition.withLock {
      while batches.isEmpty { condition.wait() }
      condition.broadcast()
      return batches.removeFirst()
    }
  }

  var count: Int { condition.withLock { batches.count } }

  func close() {
    condition.withLock {
      isClosed = true
      condition.broadcast()
    }
  }
}
// end of snippet

// snippet: prefetching-loaders
/// Belongs to the training loop; only its prefetcher is shared with another thread.
final class PrefetchingLoader: Checkpointable {
  let sampleCount: Int
  let batchSize: Int
  let depth: Int
  private(set) var position: BatchPosition  // of the next batch that training gets
  private var prefetcher: Prefetcher?

  init(sampleCount: Int, batchSize: Int, depth: Int, seed: UInt64) {
    precondition(0 < batchSize && batchSize <= sampleCount, "an epoch has at least one batch")
    (self.sampleCount, self.batchSize, self.depth) = (sampleCount, batchSize, depth)
    position = BatchPosition(seed: seed)
  }

  deinit { prefetcher?.close() }

  var fetchedCount: Int { prefetcher?.count ?? 0 }

  func next() -> [Int] {
    let source =
      prefetcher
      ?? Prefetcher(
        from: position, sampleCount: sampleCount, batchSize: batchSize, depth: depth)
    prefetcher = source
    position = position.next(of: sampleCount / batchSize)
    return source.take()
  }

  func save(to state: inout StateWriter) throws {
    try state.value("seed", position.seed)
    try state.value("epoch", position.epoch)
    try state.value("batch", position.batch)
  }

  func restore(from state: StateReader) throws {
    prefetcher?.close()  // what it fetched belongs to another place
    prefetcher = nil
    position = BatchPosition(
      seed: try state.value("seed"), epoch: try state.value("epoch"),
      batch: try state.value("batch"))
  }
}
// end of snippet
