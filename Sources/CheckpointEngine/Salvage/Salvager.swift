internal import CheckpointFormat
package import CheckpointStorage

/// Copies what is intact of a damaged checkpoint into a new file, as `ckpt salvage` does.
///
/// The damaged file is only read. Nothing of it is believed that a checksum does not speak for, so a tensor
/// is recovered as it was saved or not at all; where it is found and what it is may be told by either of two
/// places. Memory is a few chunks for each thread, and what the tables take.
///
/// - SeeAlso: docs/format.md, section 10.
package struct Salvager: Sendable {
  /// What a salvage is at.
  package enum Phase: String, Sendable {
    case searching, checking, copying
  }

  package typealias Progress = (_ phase: Phase, _ done: UInt64, _ of: UInt64) -> Void

  private let device: StorageDevice
  private let pool: WorkerPool

  /// - Parameters:
  ///   - device: Where the files are.
  ///   - threads: How many threads read, decode and encode; nil for one per processor.
  package init(on device: StorageDevice = .posix, threads: Int? = nil) {
    self.device = device
    pool = .sized(threads)
  }

  /// Salvages a file.
  ///
  /// The new file is durable when this returns. If anything is lost it is marked unhealthy, so that no run
  /// goes on from it unasked.
  ///
  /// - Parameters:
  ///   - path: The damaged file.
  ///   - target: The new one, where nothing stands yet. If it has the name of a checkpoint, that must fit.
  ///   - progress: Is told now and then how far it is, on the calling thread.
  /// - Returns: What was recovered and what is lost. Without a tensor or a value no file is written.
  /// - Throws: ``CheckpointError``: `.corrupted` if there is nothing of a checkpoint in the file,
  ///   `.unsupported` if it is of a version that this build does not know, `.notFound`, `.notRegular`,
  ///   `.unreadable`, `.alreadyExists`, `.io`, `.outOfSpace`, `.durabilityUnknown`, `.invalidState`.
  /// - Complexity: Reads the file up to four times.
  package func salvage(
    _ path: String, to target: String, progress: Progress = { _, _, _ in }
  ) throws -> SalvageReport {
    let (parent, name) = StoreDirectory.split(path)
    let file = DamagedFile(try StoreDirectory.open(parent, on: device).openHeld(name))
    let place = try NewCheckpointFile(target, on: device)
    let source = try source(file, progress)
    let index = SalvageIndex(source, in: file, pool: pool) {
      progress(.checking, $0, file.byteCount)
    }

    var selection = SalvageSelection(index)
    var report = SalvageReport(
      path: path, saveIdentifier: source.identity.identifier, formatVersion: source.identity.version
    )
    report.damagedParts = source.damagedParts
    report.tensors = selection.tensors
    report.areTablesLost = source.tensors == nil
    report.valueCount = source.metadata?.values.count
    report.unknownParts = source.unknownParts
    report.unreadableByteCount = file.unreadableByteCount
    report.isReadingCutShort = index.isReadingCutShort
    guard
      report.valueCount ?? 0 > 0 || report.tensors.contains(where: \.isRecovered)
        || report.isComplete
    else { return report }

    let header = try header(of: source, name: name, target: target)
    selection.plan.metadata = source.metadata ?? Metadata()
    selection.plan.metadata.noteSalvage(report)
    let total = selection.plan.byteCount
    let byteCount = try place.write(selection.plan, header, by: pool) { sink in
      try copy(selection.chunks, of: source.identity, in: file.file, to: sink) {
        progress(.copying, $0, total)
      }
    }
    (report.header, report.byteCount, report.target) = (header, byteCount, target)
    return report
  }

  private func source(_ file: DamagedFile, _ progress: Progress) throws(CheckpointError)
    -> SalvageSource
  {
    var parts = try SalvageParts(reading: file)
    var tallies: [SaveIdentity: PartSearch.Tally] = [:]
    if !parts.areWhole {
      let search = PartSearch(of: file) { progress(.searching, $0, file.byteCount) }
      parts.fronts += search.fronts
      parts.trailers += search.trailers
      tallies = search.tallies
    }
    if let source = SalvageSource(parts, tallies, in: file) { return source }
    let path = file.file.path
    let reason =
      file.byteCount == 0
      ? "the file is empty"
      : "no header, no table, no trailer and no frame of format versions 1 to "
        + "\(FormatVersion.current.rawValue) whose checksum fits"
    throw CheckpointError(
      .corrupted,
      "There is nothing of a checkpoint in \(escaped(path)): \(reason). "
        + "'ckpt ls \(escaped(StoreDirectory.split(path).directory))' shows what else is there.",
      at: CheckpointError.Location(path: path))
  }

  /// The header of the new file: what is known of the old one, and identifiers of its own.
  private func header(
    of source: SalvageSource, name: String, target: String
  ) throws(CheckpointError) -> CheckpointHeader {
    let old = source.header
    let stated = Self.numbers(in: name) ?? Self.numbers(in: StoreDirectory.split(target).name)
    let header = CheckpointHeader(
      generation: source.start?.generation ?? stated?.generation ?? 1,
      saveIdentifier: makeIdentifier(), checkpointIdentifier: makeIdentifier(),
      runIdentifier: old?.runIdentifier ?? makeIdentifier(),
      parentIdentifier: old?.parentIdentifier,
      step: old?.step ?? stated?.step ?? 0, savedAt: old?.savedAt ?? device.timeSource.now(),
      supersededGeneration: old?.supersededGeneration ?? 0,
      chunkByteCount: old?.chunkByteCount
        ?? max(source.tensors?.grid.chunkByteCount ?? 0, StoreOptions().chunkByteCount),
      writer: StoreOptions.libraryName, branchPoints: old?.branchPoints ?? [])
    if let numbers = Self.numbers(in: StoreDirectory.split(target).name),
      header.contradiction(step: numbers.step, generation: numbers.generation, path: target) != nil
    {
      throw CheckpointError(
        .invalidState,
        "\(escaped(target)) would be the name of another checkpoint: this one is of step \(header.step), "
          + "generation \(header.generation). Choose a name of that step and generation, or any other.",
        at: CheckpointError.Location(path: target))
    }
    return header
  }

  private func makeIdentifier() -> Identifier {
    let bits = device.randomBits()
    return Identifier(high: bits.0, low: bits.1)
  }

  /// What a checkpoint's name states.
  private static func numbers(in name: String) -> (step: UInt64, generation: UInt64?)? {
    switch CheckpointName(name) {
    case .checkpoint(let step, let generation), .damaged(let step, let generation):
      (step, generation)
    case .emergency(let step, let generation): (step, generation)
    default: nil
    }
  }

  private func copy(
    _ chunks: [ChunkEntry], of identity: SaveIdentity, in file: OpenFile, to sink: TensorSink,
    progress: (UInt64) -> Void
  ) throws {
    let workspace = ChunkWorkspace()
    var done: UInt64 = 0
    for entry in chunks {
      var failure: (any Error)?
      do {
        try file.withRawBytes(of: entry, identity, by: workspace) { bytes in
          do { try sink.append(bytes) } catch { failure = error }
        }
      } catch {
        throw CheckpointError(
          .unreadable,
          "\(escaped(file.path)) changes while it is read: a chunk that was intact is not any more. "
            + "Copy the file and salvage the copy. (\(error))",
          at: CheckpointError.Location(path: file.path, offset: entry.storedOffset))
      }
      if let failure { throw failure }
      done += UInt64(entry.rawByteCount)
      progress(done)
    }
  }
}

extension Metadata {
  /// What the file was made of, and that it is not to be gone on from if anything is lost.
  fileprivate mutating func noteSalvage(_ report: SalvageReport) {
    self[.environment, "salvaged_from"] = .string(report.saveIdentifier.description)
    guard !report.isComplete else { return }
    let losses = "salvaged from a damaged file, lost: " + report.losses.joined(separator: "; ")
    markUnhealthy(unhealthyReason.map { $0 + "; " + losses } ?? losses)
  }
}
