internal import CheckpointFormat
internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What retention did.
public struct RetentionReport: Hashable, Sendable {
  /// Paths of removed checkpoints, oldest first.
  public var removed: [String] = []
  /// Why something was left alone that would have been removed.
  public var warnings: [String] = []

  package init() {}
}

extension CheckpointStore {
  /// Removes the oldest checkpoints beyond the newest `count` intact ones.
  ///
  /// Runs after an acknowledged save only. Never removed are: damaged and quarantined files, which
  /// do not count either; pinned ones; ones that a reader holds; the one this run was resumed from,
  /// until the run has `count` saves of its own; everything, while it is unclear which checkpoint
  /// is the newest; and everything after `.durabilityUnknown`, until a later save is acknowledged.
  /// A copy of a file under a second name neither counts nor goes. Failing to remove is a warning
  /// and never fails a save.
  ///
  /// - Parameter count: How many intact checkpoints stay, at least 1.
  /// - Returns: What was removed, and what was not and why.
  public func retain(last count: Int) -> RetentionReport {
    precondition(count >= 1, "retention keeps at least one checkpoint")
    #if Mutants
      if Mutant.isActive(.doubtForgotten) {
        isDurabilityInDoubt = false
        uncertainGenerations = []
      }
    #endif
    guard isWritable, let run, run.acknowledgedCount > 0, !isDurabilityInDoubt else {
      return RetentionReport()
    }
    return retain(last: count, run)
  }

  /// Removes what the process before would have removed, had it not died after its last save.
  ///
  /// Without it, a run that is killed between its saves and their retention again and again would
  /// leave more and more. Does nothing unless the run was resumed from the newest intact
  /// checkpoint and has saved nothing yet. What stays is made durable first, since the process
  /// before may have died before it was, and the last one that it knew to be durable stays as well;
  /// everything else is as for ``retain(last:)``.
  ///
  /// - Parameter count: How many intact checkpoints stay, at least 1.
  /// - Returns: What was removed, and what was not and why.
  package func finishRetention(last count: Int) -> RetentionReport {
    precondition(count >= 1, "retention keeps at least one checkpoint")
    guard isWritable, let run, run.acknowledgedCount == 0, run.isResumedFromNewest else {
      return RetentionReport()
    }
    return retain(last: count, run)
  }

  private func retain(last count: Int, _ run: RunContext) -> RetentionReport {
    var report = RetentionReport()
    do throws(CheckpointError) {
      let listing = try list()
      try requireClear(listing, run)
      let (kept, victims) = sort(listing, run, keeping: count)
      if run.acknowledgedCount == 0, !victims.isEmpty { try makeDurable(kept) }
      if count == 1, let newest = kept.first, !victims.isEmpty { try requireReadable(newest) }
      for entry in victims.reversed() { remove(entry, &report) }
    } catch {
      report.warnings.append("Nothing was removed. " + error.message)
    }
    return report
  }

  /// Syncs files and names that this process did not save: whoever did may have died before the
  /// last fsync of its save.
  private func makeDurable(_ entries: [StoreEntry]) throws(CheckpointError) {
    #if Mutants
      if Mutant.isActive(.owedRetentionNotSynced) { return }
    #endif
    for entry in entries {
      let file = try OpenFile.open(entry.name, in: directory)
      do {
        try directory.backend.sync(file.descriptor)
      } catch {
        throw CheckpointError(writing: entry.path, error)
      }
    }
    try directory.sync()
  }

  private func requireClear(
    _ listing: StoreListing, _ run: RunContext
  ) throws(CheckpointError) {
    let foreign = foreignEntries(
      of: run.runIdentifier, after: run.supersededGeneration, among: listing.candidates)
    guard foreign.isEmpty, !hasSharedGeneration(listing.candidates) else {
      throw CheckpointError(
        .ambiguous,
        "\(escaped(path)) holds checkpoints that this run does not know of, for example "
          + "\(escaped(foreign.first?.name ?? listing.candidates.first?.name ?? "")).")
    }
  }

  /// What counts and stays, and what may be removed, each newest first.
  private func sort(
    _ listing: StoreListing, _ run: RunContext, keeping count: Int
  ) -> (kept: [StoreEntry], victims: [StoreEntry]) {
    var kept: [StoreEntry] = []
    var victims: [StoreEntry] = []
    var seen: Set<Identifier> = []
    let acknowledged = lastAcknowledged(run, listing)
    var isCovered = false
    for entry in listing.candidates {
      guard let header = entry.header else { continue }
      #if Mutants
        if Mutant.isActive(.copiesCountTwice) { seen = [] }
      #endif
      let isResumed =
        header.checkpointIdentifier == run.resumedIdentifier && run.acknowledgedCount < count
      let isSpared = isResumed || listing.pins.contains(header.checkpointIdentifier)
      // What stays anyway need not be read to find out whether it counts.
      if kept.count >= count, isCovered, isSpared { continue }
      guard isIntact(entry), !uncertainGenerations.contains(header.generation),
        seen.insert(header.saveIdentifier).inserted
      else { continue }
      if kept.count < count || !isCovered {
        kept.append(entry)
        isCovered = isCovered || header.generation <= acknowledged
      } else {
        victims.append(entry)
      }
    }
    return (kept, victims)
  }

  /// The last generation that is known to have been acknowledged; of those up to it, one must stay.
  ///
  /// Every one of this process's own that counts was. Before its first, it knows of the one that it
  /// was resumed from only what its header says: its parent was acknowledged. Itself it may not have
  /// been, because the directory could not be synced; its name may be forgotten then, and no later
  /// sync would tell. If the parent is not there, nothing is known, and nothing goes.
  private func lastAcknowledged(_ run: RunContext, _ listing: StoreListing) -> UInt64 {
    if run.acknowledgedCount > 0 { return .max }
    #if Mutants
      if Mutant.isActive(.owedRetentionTrustsTheNewest) { return .max }
    #endif
    func header(_ identifier: Identifier?) -> CheckpointHeader? {
      listing.candidates.lazy.compactMap(\.header).first { $0.checkpointIdentifier == identifier }
    }
    return header(header(run.resumedIdentifier)?.parentIdentifier)?.generation ?? 0
  }

  /// Whether a checkpoint counts; each file is verified once, unless this process saved it.
  private func isIntact(_ entry: StoreEntry) -> Bool {
    guard entry.problem == nil, let header = entry.header else { return false }
    #if Mutants
      if Mutant.isActive(.damagedFilesCount) { return true }
    #endif
    let key = FileKey(entry.name, header)
    if verdicts[key] == nil, (try? examine(entry)) == nil {
      // It cannot be told, and is not asked again after every save.
      verdicts[key] = .notCounted
    }
    return verdicts[key] == .intact
  }

  /// Reads the newest checkpoint back from the device before its only predecessor goes.
  private func requireReadable(_ entry: StoreEntry) throws(CheckpointError) {
    #if Mutants
      if Mutant.isActive(.readBackSkipped) { return }
    #endif
    let file = try directory.openHeld(entry.name)
    // Before the first read, so that header and index come from the device as well. Where the cache
    // cannot be bypassed, reading from it is still better than not reading.
    try? directory.backend.dropCache(file.descriptor)
    do throws(CheckpointError) {
      let reader = try CheckpointReader(file, limits: options.limits, pool: pool)
      if let finding = reader.verify(.full).findings.first { throw finding }
    } catch {
      if let header = entry.header { verdicts[FileKey(entry.name, header)] = .notCounted }
      throw error
    }
  }

  /// Whether the marker of a pin is there now.
  private func isPinned(_ entry: StoreEntry) throws(StorageError) -> Bool {
    guard let identifier = entry.header?.checkpointIdentifier else { return false }
    #if Mutants
      if Mutant.isActive(.pinsForgotten) { return false }
    #endif
    do throws(StorageError) {
      _ = try directory.backend.status(
        CheckpointName.pin(identifier).text, in: directory.descriptor)
      return true
    } catch {
      guard error.errno == ENOENT else { throw error }
      return false
    }
  }

  /// Removes a checkpoint under its lock, if the name still stands for the same file.
  private func remove(_ entry: StoreEntry, _ report: inout RetentionReport) {
    do throws(CheckpointError) {
      let file = try OpenFile.open(entry.name, in: directory)
      do throws(StorageError) {
        guard try directory.backend.lock(file.descriptor, .exclusive) else {
          report.warnings.append("\(escaped(entry.path)) is held by a reader and stays.")
          return
        }
        let named = try directory.backend.status(entry.name, in: directory.descriptor)
        // What was looked at may have been replaced or pinned while the others were verified.
        guard named.isSameFile(as: file.status),
          (try? file.readStart())?.saveIdentifier == entry.header?.saveIdentifier,
          try !isPinned(entry)
        else { return }
        try directory.backend.unlink(entry.name, in: directory.descriptor)
        report.removed.append(entry.path)
      } catch {
        throw CheckpointError(writing: entry.path, error)
      }
    } catch {
      if error.code != .notFound { report.warnings.append(error.message) }
    }
  }
}
