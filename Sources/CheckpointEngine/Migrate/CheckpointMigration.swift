public import CheckpointFormat
internal import CheckpointStorage

/// A migration of one checkpoint, planned: nothing was written yet.
///
/// The source is never changed. The result keeps the checkpoint identifier, step, generation and lineage,
/// the time of saving and everything beside the tensors; it has a save identifier of its own, and records
/// what was done to it and from which file.
public struct CheckpointMigration {
  /// What is migrated.
  public let reader: CheckpointReader
  /// What is done.
  public let plan: MigrationPlan
  /// The header of the result.
  public let header: CheckpointHeader
  /// The most bytes that the result can have.
  public let byteCountMax: UInt64
  let state: MigratedState
  private let options: StoreOptions

  /// Plans a migration.
  ///
  /// - Parameters:
  ///   - reader: The checkpoint.
  ///   - plan: What to make of it.
  ///   - options: Where and how the result is written; its chunks have the size that they have.
  /// - Throws: ``CheckpointError``: `.unsupported` if the file holds what this build does not know and
  ///   would lose, `.incompatibleState` if a step does not fit, `.overLimit` if the result would be larger
  ///   than readers accept.
  public init(
    of reader: CheckpointReader, by plan: MigrationPlan, options: StoreOptions = StoreOptions()
  ) throws(CheckpointError) {
    try reader.requireRewritable()
    self.reader = reader
    self.plan = plan
    self.options = options
    state = try MigratedState(plan, of: reader)
    var header = reader.header
    header.formatVersion = plan.formatVersion
    if plan.isTellable {
      header.saveIdentifier = plan.saveIdentifier(
        after: header.saveIdentifier, by: options.writer)
    } else {
      let bits = options.device.randomBits()
      header.saveIdentifier = Identifier(high: bits.0, low: bits.1)
    }
    header.writer = options.writer
    self.header = header
    byteCountMax = try FileBlueprint.byteCountMax(
      state.plan, chunkByteCount: header.chunkByteCount, limits: options.limits)
  }

  /// What cannot be had back from the result, a phrase each; empty if nothing is lost.
  public var losses: [String] { state.losses }

  /// The tensors of the result in its order, aliases included.
  public var tensors: [TensorDescriptor] { state.plan.entries.map(\.descriptor) }

  /// Bytes of the result's tensors before encoding; aliases count once.
  public var stateByteCount: UInt64 { state.plan.byteCount }

  /// Writes the result, compares it with the source, and gives it a name.
  ///
  /// When this returns, the new file is durable and every byte of it was read again and compared. When it
  /// throws, there is no new file, except after `.durabilityUnknown`.
  ///
  /// - Parameters:
  ///   - path: A name that is free, in a directory that exists.
  ///   - progress: Is told now and then how many bytes of how many are done, on the calling thread.
  /// - Returns: What was written.
  /// - Throws: ``CheckpointError``: `.alreadyExists`; `.ambiguous` if the directory has that checkpoint under
  ///   another name; `.corrupted` or `.unreadable` for the source, or for the result if the disk has spoilt
  ///   it; `.incompatibleState` if values do not fit a cast; `.outOfSpace`, `.io`, `.durabilityUnknown`.
  /// - Complexity: Reads the source once, what steps have made of it twice, and the result once; some
  ///   megabytes of extra memory.
  public func write(
    to path: String, progress: ((_ done: UInt64, _ of: UInt64) -> Void)? = nil
  ) throws -> MigrationResult {
    let place = try NewCheckpointFile(path, on: options.device)
    try requireNoRival(of: place)
    place.sweep()
    let writer = MigrationWriter(place.directory, options, .sized(options.threads))
    let made = try writer.make(self, progress: progress)
    try place.publish(made.file, saveIdentifier: header.saveIdentifier)
    return MigrationResult(
      path: path, byteCount: made.byteCount, header: header, casts: made.casts)
  }

  /// Nothing in the same store is the same checkpoint: resuming could not tell which one is meant.
  private func requireNoRival(of place: NewCheckpointFile) throws(CheckpointError) {
    guard case .checkpoint? = CheckpointName(place.name) else { return }
    let (directory, location) = (
      place.directory, CheckpointError.Location(path: place.directory.path(of: place.name))
    )
    let rival = try StoreListing(directory).candidates.first {
      $0.header?.generation == header.generation
    }
    guard let rival else { return }
    throw CheckpointError(
      .ambiguous,
      "\(escaped(rival.path)) has the same generation, \(header.generation), and a run that resumes "
        + "here could not tell which one is meant. Write to another directory, or use --in-store to "
        + "have the checkpoints of a store take the place of the old ones.",
      at: location)
  }
}

/// A migrated checkpoint that is in place.
public struct MigrationResult: Sendable {
  /// The new file.
  public let path: String
  /// Bytes of the new file.
  public let byteCount: UInt64
  /// Its header.
  public let header: CheckpointHeader
  /// What casts did to values, by the names of the tensors.
  public let casts: [CastReport]
}
