import CheckpointTesting
import CheckpointTraining
import Foundation
import Testing

// Goal: with a loader that runs ahead, a resumed run sees the batches that the uninterrupted one
// sees, each once; with the position of what was fetched it would not.
// Method: five batches an epoch and eight fetched ahead, so that the queue always reaches into another
// epoch; a stop after each of the first batches; all that fits into the queue is awaited first.
extension HowToTests {
  private static let depth = 8

  private func makeLoader(seed: UInt64 = 1) -> PrefetchingLoader {
    PrefetchingLoader(sampleCount: 11, batchSize: 2, depth: Self.depth, seed: seed)
  }

  private func take(_ count: Int, from loader: PrefetchingLoader) -> [[Int]] {
    (0..<count).map { _ in loader.next() }
  }

  private func awaitFullQueue(of loader: PrefetchingLoader) throws {
    try awaitThat { loader.fetchedCount == Self.depth }
  }

  private func awaitThat(_ condition: () -> Bool) throws {
    let start = ContinuousClock.now
    while !condition() {
      try #require(ContinuousClock.now - start < .seconds(60))
      Thread.sleep(forTimeInterval: 0.001)
    }
  }

  /// Saves the loader, or what says of itself where it is, and restores that into another loader.
  private func resume(
    _ fresh: PrefetchingLoader, from state: some Checkpointable
  ) throws -> PrefetchingLoader {
    let options = StoreOptions(device: SimulatedDisk().device)
    try CheckpointManager(directory: "/run", saving: .manual, options: options).save(state, step: 1)
    let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
    try manager.resume(fresh, from: .latest)
    return fresh
  }

  @Test func everyEpochHasEverySampleOnceInAnOrderOfItsOwn() {
    let batches = take(15, from: makeLoader())
    let epochs = stride(from: 0, to: 15, by: 5).map { batches[$0..<$0 + 5].flatMap { $0 } }
    for epoch in epochs {
      #expect(epoch.count == 10)
      #expect(Set(epoch).isSubset(of: 0..<11) && Set(epoch).count == 10)
    }
    #expect(Set(epochs).count == 3)
    #expect(take(15, from: makeLoader()) == batches)
    #expect(take(15, from: makeLoader(seed: 2)) != batches)
  }

  @Test(arguments: 1...11)
  func aResumedLoaderGoesOnAfterTheConsumedBatches(stop: Int) throws {
    let uninterrupted = take(20, from: makeLoader())
    let loader = makeLoader()
    #expect(take(stop, from: loader) == Array(uninterrupted.prefix(stop)))
    try awaitFullQueue(of: loader)
    let resumed = try resume(makeLoader(seed: 99), from: loader)
    #expect(take(20 - stop, from: resumed) == Array(uninterrupted.dropFirst(stop)))
    // The one that was saved goes on as well.
    #expect(take(20 - stop, from: loader) == Array(uninterrupted.dropFirst(stop)))
  }

  @Test func whatWasFetchedBeforeARestoreIsDiscarded() throws {
    let uninterrupted = take(20, from: makeLoader())
    let loader = makeLoader()
    _ = take(3, from: loader)
    let used = makeLoader(seed: 99)
    _ = take(7, from: used)
    try awaitFullQueue(of: used)
    _ = try resume(used, from: loader)
    try #require(used.fetchedCount == 0)
    #expect(take(17, from: used) == Array(uninterrupted.dropFirst(3)))
  }

  @Test func thePositionOfWhatWasFetchedWouldSkipBatches() throws {
    let uninterrupted = take(20, from: makeLoader())
    let loader = makeLoader()
    _ = take(3, from: loader)
    try awaitFullQueue(of: loader)
    let resumed = try resume(makeLoader(), from: FetchedPosition(loader: loader))
    let batches = take(9, from: resumed)
    #expect(batches != Array(uninterrupted[3..<12]))
    #expect(batches == Array(uninterrupted[(3 + Self.depth)...]))
  }

  @Test func aClosedPrefetcherEndsItsThread() throws {
    weak var ended: Prefetcher?
    do {
      let prefetcher = Prefetcher(
        from: BatchPosition(seed: 1), sampleCount: 8, batchSize: 2, depth: 3)
      _ = prefetcher.take()
      ended = prefetcher
      prefetcher.close()
    }
    try awaitThat { ended == nil }
  }
}

/// The mistake: the position of what was fetched.
private struct FetchedPosition: Checkpointable {
  let loader: PrefetchingLoader

  func save(to state: inout StateWriter) throws {
    var position = loader.position
    for _ in 0..<loader.fetchedCount {
      position = position.next(of: loader.sampleCount / loader.batchSize)
    }
    try state.value("seed", position.seed)
    try state.value("epoch", position.epoch)
    try state.value("batch", position.batch)
  }

  func restore(from state: StateReader) throws { try loader.restore(from: state) }
}
