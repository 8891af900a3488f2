internal import CheckpointFormat
internal import CheckpointStorage

/// A directory of checkpoints, opened by one writer and any number of readers.
///
/// The rules are those of docs/crash-safety.md: a save is atomic and durable when it returns, it
/// never replaces a file, and the newest checkpoint is the intact one of the highest generation.
/// Not thread-safe; use it from one thread at a time.
public final class CheckpointStore {
  /// What a store is opened for.
  public enum Access: Hashable, Sendable {
    /// Changes nothing on disk; any number of processes at once.
    case reading
    /// Saves and removes; one process at a time.
    case writing
  }

  package let options: StoreOptions
  let pool: WorkerPool
  lazy var resources = SaveResources(
    options.output, beside: pool, now: options.device.timeSource.monotonic)
  /// Replaced after a failed fsync of the directory.
  var directory: StoreDirectory
  private let lock: WriterLock?
  /// The highest generation on disk or spent by this process.
  var lastGeneration: UInt64
  /// What this process knows of files it saved or verified.
  var verdicts: [FileKey: Verdict] = [:]
  /// Generations whose names may not survive a power cut.
  var uncertainGenerations: Set<UInt64> = []
  /// Whether the last save that came into place may not survive a power cut.
  var isDurabilityInDoubt = false
  var run: RunContext?
  /// Is told, on the thread that calls, how many bytes of how many of a checkpoint are verified.
  package var verificationProgress: ((_ name: String, _ done: UInt64, _ of: UInt64) -> Void)?

  /// What retention makes of a file.
  enum Verdict {
    /// Whole, with what was measured when it was saved, and whether it was found healthy.
    case intact(metrics: [String: Double], isHealthy: Bool)
    /// Damaged, or not to be read: it neither counts nor goes.
    case notCounted

    init(intact metadata: Metadata) {
      self = .intact(metrics: metadata.metrics, isHealthy: metadata.unhealthyReason == nil)
    }
  }

  /// A file of the store; the name alone would not tell a migrated file from the one before, nor
  /// the identifier a copy.
  struct FileKey: Hashable {
    let name: String
    let saveIdentifier: Identifier

    init(_ name: String, _ header: CheckpointHeader) {
      self.name = name
      saveIdentifier = header.saveIdentifier
    }
  }

  /// The store's directory.
  public var path: String { directory.path }

  /// Opens a store.
  ///
  /// For writing, missing directories are created and made durable, the writer's lock is taken and
  /// temporary files that no living writer holds are removed.
  ///
  /// - Parameters:
  ///   - path: The directory.
  ///   - access: For reading or for writing.
  ///   - options: How files are kept.
  /// - Throws: ``CheckpointError``: `.notFound`, `.busy` if another process has the store open for
  ///   writing, `.unreadable` or `.io`.
  public init(
    _ path: String, for access: Access, options: StoreOptions = StoreOptions()
  ) throws(CheckpointError) {
    precondition(
      ChunkGrid.isValidChunkByteCount(options.chunkByteCount),
      "a chunk has a multiple of 64 bytes, at most 64 MiB")
    self.options = options
    pool = .sized(options.threads, priority: options.threadPriority)
    switch access {
    case .reading:
      directory = try StoreDirectory.open(path, on: options.device)
      lock = nil
      lastGeneration = 0
    case .writing:
      directory = try StoreDirectory.openCreating(
        path, permissions: options.permissions, on: options.device)
      lock = try WriterLock(
        directory, permissions: options.permissions, timeout: options.lockTimeout)
      // Only now that no other writer can add to it is the listing complete.
      let listing = try StoreListing(directory)
      lastGeneration = listing.lastGeneration
      try requireRoom(in: listing)
      directory.removeAbandoned(listing.temporaries)
    }
  }

  /// Whether the store was opened for writing.
  public var isWritable: Bool { lock != nil }

  /// Every checkpoint of the store in whatever condition, newest first.
  ///
  /// Only headers are looked at; ``recover(_:)`` and ``CheckpointReader/verify(_:)`` read the rest.
  public func entries() throws(CheckpointError) -> [StoreEntry] {
    try list().entries
  }

  /// Whether a run would begin afresh here: there is no checkpoint in whatever condition, but for what
  /// runs that failed have left.
  package func isEmpty() throws(CheckpointError) -> Bool { try list().isEmpty }

  /// Opens a checkpoint of the store and holds it.
  ///
  /// - Parameter entry: One of ``entries()``.
  /// - Returns: A reader; the file stays open and locked while it lives.
  /// - Throws: ``CheckpointError``: as ``CheckpointReader/open(path:on:limits:threads:)``.
  public func open(_ entry: StoreEntry) throws(CheckpointError) -> CheckpointReader {
    try CheckpointReader(
      directory.openHeld(entry.name), limits: options.limits, pool: pool)
  }

  /// Refuses a store whose generations are used up before anything is trained, and not at a save.
  private func requireRoom(in listing: StoreListing) throws(CheckpointError) {
    guard lastGeneration >= Limits.counterMax else { return }
    let entry = listing.entries.first { $0.generation == lastGeneration }
    throw CheckpointError(
      .overLimit,
      "\(escaped(entry?.path ?? path)) bears the last generation there is, so that nothing can be "
        + "saved after it. Was it renamed? Move it away.",
      at: CheckpointError.Location(path: entry?.path ?? path))
  }

  /// Lists the store; generations that somebody else put in meanwhile are never given out again.
  func list() throws(CheckpointError) -> StoreListing {
    let listing = try StoreListing(directory)
    lastGeneration = max(lastGeneration, listing.lastGeneration)
    return listing
  }

  func requireWritable() throws(CheckpointError) {
    guard isWritable else {
      throw CheckpointError(.io, "\(escaped(path)) was opened for reading.")
    }
  }
}
