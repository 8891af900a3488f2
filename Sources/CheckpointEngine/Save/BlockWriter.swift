internal import CheckpointFormat
internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

#if Mutants
  internal import CheckpointMutants
#endif

/// Writes blocks one behind the other, past the page cache if that can be, and remembers a failure
/// for ever.
///
/// Blocks come from one thread at a time; the others may ask how far it is.
final class BlockWriter: Sendable {
  private struct State: Sendable {
    var writtenByteCount: UInt64 = 0
    var writingNanoseconds: UInt64 = 0
    var failure: StorageError?
    var caching = Caching.cached
    var wasUncachedRefused = false
    var writesBackEarly = false
  }

  private let backend: any StorageBackend
  private let descriptor: Descriptor
  private let now: @Sendable () -> UInt64
  private let state = Protected(State())

  /// The most that is written through the cache at once: for more, the system takes larger pages,
  /// and finding those takes it longer than the disk needs.
  private static let cachedPartByteCount = 256 << 10

  init(
    _ backend: any StorageBackend, _ descriptor: Descriptor, now: @escaping @Sendable () -> UInt64
  ) {
    self.backend = backend
    self.descriptor = descriptor
    self.now = now
  }

  /// Bytes that the file system has taken.
  var writtenByteCount: UInt64 { state.withLock { $0.writtenByteCount } }

  /// How long the file system took for them.
  var writingNanoseconds: UInt64 { state.withLock { $0.writingNanoseconds } }

  /// Whether the file system turned out to have no transfers past the cache.
  var wasUncachedRefused: Bool { state.withLock { $0.wasUncachedRefused } }

  #if Mutants
    /// Whether transfers go past the page cache.
    var isUncached: Bool { state.withLock { $0.caching == .uncached } }
  #endif

  /// Prepares for much: past the cache, or else with the disk at work from the start.
  ///
  /// - Parameter isUncached: whether to try at all to go past the cache.
  func expectMuch(isUncached: Bool) {
    state.withLock { $0.writesBackEarly = true }
    if isUncached { setCaching(.uncached) }
  }

  /// Reserves room for the most bytes that may come, before the first of them.
  ///
  /// If there is not enough, gives it back and lets the writes decide, since encoded chunks may need much less.
  func reserve(byteCountMax: UInt64) {
    do {
      try requireSound()
      try backend.preallocate(descriptor, byteCount: byteCountMax)
    } catch {
      // Only advice: a file system that cannot reserve, or has reserved a part, is asked to forget.
      if error.call == .preallocate { try? backend.truncate(descriptor, to: 0) }
    }
  }

  /// Throws the first failure again.
  func requireSound() throws(StorageError) {
    let failure = state.withLock { state in
      #if Mutants
        defer { if Mutant.isActive(.failedWriteForgotten) { state.failure = nil } }
      #endif
      return state.failure
    }
    if let failure { throw failure }
  }

  /// Refuses everything from here on; what is being written ends first elsewhere.
  func end() {
    state.withLock { $0.failure = $0.failure ?? StorageError(.write, errno: EBADF) }
  }

  /// Writes blocks behind those before, unless something failed; ``requireSound()`` tells.
  func write(_ blocks: RawSpan) {
    let start = writtenByteCount
    let time = now()
    var rest = blocks
    do throws(StorageError) {
      while !rest.isEmpty {
        try requireSound()
        let count = try writeSome(of: rest)
        rest = rest.extracting(droppingFirst: count)
      }
    } catch {
      return state.withLock { $0.failure = $0.failure ?? error }
    }
    let elapsed = now() - time
    let (end, isDue) = state.withLock { state in
      state.writingNanoseconds += elapsed
      return (state.writtenByteCount, state.writesBackEarly && state.caching == .cached)
    }
    // Only advice: what the disk has not begun by then is left for the sync.
    if isDue { try? backend.startWriteBack(descriptor, start..<end) }
  }

  /// One transfer; returns how many bytes it took, which is none after falling back.
  private func writeSome(of blocks: RawSpan) throws(StorageError) -> Int {
    let (offset, isUncached) = state.withLock {
      ($0.writtenByteCount, $0.caching == .uncached)
    }
    let part =
      isUncached
      ? blocks : blocks.extracting(first: min(blocks.byteCount, Self.cachedPartByteCount))
    let count: Int
    do {
      count = try backend.write(descriptor, part, at: offset)
    } catch {
      // Some file systems refuse only here. Once they have taken something it is an error, and the next save
      // goes through the cache.
      guard isUncached, error.errno == EINVAL else { throw error }
      state.withLock { $0.wasUncachedRefused = true }
      guard offset == 0, setCaching(.cached) else { throw error }
      return 0
    }
    guard count > 0, count <= part.byteCount else { throw StorageError(.write, errno: EIO) }
    state.withLock { $0.writtenByteCount += UInt64(count) }
    // What is left of a begun block cannot go past the cache.
    if isUncached, count % Int(Layout.fileAlignment) != 0 { setCaching(.cached) }
    return count
  }

  /// Whether it could be done; if not, transfers go on as before.
  @discardableResult
  private func setCaching(_ caching: Caching) -> Bool {
    do {
      try backend.setCaching(descriptor, caching)
    } catch {
      if caching == .uncached { state.withLock { $0.wasUncachedRefused = true } }
      return false
    }
    state.withLock { $0.caching = caching }
    return true
  }
}
