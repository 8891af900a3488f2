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

extension CheckpointStore {
  /// Removes the oldest checkpoints beyond the newest `count` intact ones; see ``retain(_:)``.
  ///
  /// - Parameter count: How many intact checkpoints stay, at least 1.
  /// - Returns: What was removed, and what was not and why.
  public func retain(last count: Int) -> RetentionReport { retain(.last(count)) }

  /// Removes the checkpoints that a policy does not keep, oldest first.
  ///
  /// Runs after an acknowledged save only. Never removed are: damaged and quarantined files, which
  /// do not count either; the newest intact one; pinned ones; ones that a reader holds; the one this
  /// run was resumed from, until the run has as many saves of its own as ``RetentionPolicy/last(_:)``
  /// asks for, or one; everything, while it is unclear which checkpoint is the newest; and everything
  /// after `.durabilityUnknown`, until a later save is acknowledged. A copy of a file under a second
  /// name neither counts nor goes. Failing to remove is a warning and never fails a save.
  ///
  /// - Parameter policy: What stays.
  /// - Returns: What was removed, and what was not and why.
  /// - Complexity: Lists the store; each file that this process neither saved nor verified is
  ///   verified once.
  public func retain(_ policy: RetentionPolicy) -> RetentionReport {
    #if Mutants
      if Mutant.isActive(.doubtForgotten) {
        isDurabilityInDoubt = false
        uncertainGenerations = []
      }
    #endif
    guard isWritable, let run, run.acknowledgedCount > 0, !isDurabilityInDoubt else {
      return RetentionReport()
    }
    return retain(policy, run)
  }

  /// What ``retain(_:)`` would keep and remove, and why, newest first.
  ///
  /// Nothing is removed, and whether a reader holds a file is not asked. Before the first save of a
  /// run it answers for the time after that save, which is not counted.
  ///
  /// - Parameter policy: What stays.
  /// - Returns: One decision for each checkpoint of the store.
  /// - Throws: ``CheckpointError``: `.ambiguous` if it is unclear which checkpoint is the newest,
  ///   `.invalidState` if no run has begun, `.unreadable`.
  public func retentionPlan(
    _ policy: RetentionPolicy
  ) throws(CheckpointError) -> [RetentionDecision] {
    guard let run else {
      throw CheckpointError(
        .invalidState, "Which checkpoints go depends on the run: resume first.",
        at: CheckpointError.Location(path: path))
    }
    let listing = try list()
    try requireClear(listing, run)
    return decide(listing, run, policy)
  }

  /// Removes what the process before would have removed, had it not died after its last save.
  ///
  /// Without it, a run that is killed between its saves and their retention again and again would
  /// leave more and more. Does nothing unless the run was resumed from the newest intact
  /// checkpoint and has saved nothing yet. What stays is made durable first, since the process
  /// before may have died before it was, and the last one that it knew to be durable stays as well;
  /// everything else is as for ``retain(_:)``.
  ///
  /// - Parameter policy: What stays.
  /// - Returns: What was removed, and what was not and why.
  package func finishRetention(_ policy: RetentionPolicy) -> RetentionReport {
    guard isWritable, let run, run.acknowledgedCount == 0, run.isResumedFromNewest else {
      return RetentionReport()
    }
    return retain(policy, run)
  }

  private func retain(_ policy: RetentionPolicy, _ run: RunContext) -> RetentionReport {
    var report = RetentionReport()
    guard !policy.keepsAll else { return report }
    do throws(CheckpointError) {
      let listing = try list()
      try requireClear(listing, run)
      if let budget = policy.byteBudget, policy.keepsEverything,
        listing.entries.lazy.map(\.byteCount).saturatingSum <= budget
      {
        return report
      }
      let decisions = decide(listing, run, policy)
      let victims = decisions.filter(\.isRemoved).map(\.entry)
      let kept = decisions.filter(\.countsAndStays).map(\.entry)
      if run.acknowledgedCount == 0, !victims.isEmpty { try makeDurable(kept) }
      let known = kept.filter(isKnownIntact)
      if known.count == 1, !victims.isEmpty { try requireReadable(known[0]) }
      for entry in victims.reversed() { remove(entry, &report) }
      if let budget = policy.byteBudget { warn(&report, ofExcessOver: budget, decisions) }
    } catch {
      report.warnings.append("Nothing was removed. " + error.message)
    }
    return report
  }

  private func isKnownIntact(_ entry: StoreEntry) -> Bool {
    guard let header = entry.header, case .intact? = verdicts[FileKey(entry.name, header)] else {
      return false
    }
    return true
  }

  /// Warns if what has to stay has more bytes than the budget.
  private func warn(
    _ report: inout RetentionReport, ofExcessOver budget: UInt64, _ decisions: [RetentionDecision]
  ) {
    let removed = Set(report.removed)
    let left = decisions.lazy.map(\.entry).filter { !removed.contains($0.path) }
      .map(\.byteCount).saturatingSum
    guard left > budget else { return }
    report.warnings.append(
      "The checkpoints of \(escaped(path)) have \(left) bytes, more than their budget of \(budget): "
        + "what is left may not be removed. `retentionPlan` says why.")
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
      if let finding = verify(reader, entry).findings.first { throw finding }
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
