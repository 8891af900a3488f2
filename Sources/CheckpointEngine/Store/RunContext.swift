internal import CheckpointFormat

#if Mutants
  internal import CheckpointMutants
#endif

/// What the next save records about the run it belongs to.
struct RunContext {
  var runIdentifier: Identifier
  /// The checkpoint resumed from or written last.
  var parentIdentifier: Identifier?
  var branchPoints: [CheckpointHeader.BranchPoint]
  /// Checkpoints of other runs up to here were left behind knowingly.
  var supersededGeneration: UInt64
  /// What this run, or an ancestor, saved before it was taken back to an earlier checkpoint.
  var abandonedGenerations = GenerationRanges()
  /// The checkpoint that the run was resumed from, wherever it is.
  var resumedIdentifier: Identifier?
  /// Whether that was the newest intact one, and nobody chose it.
  var isResumedFromNewest = false
  /// Saves that this process has acknowledged.
  var acknowledgedCount = 0
}

extension CheckpointStore {
  /// Whether a file was left by the run of the next save, or both are of runs that had saved nothing: one
  /// that begins afresh again and again has another identifier each time.
  package func isOfThisRun(_ header: CheckpointHeader) -> Bool {
    if let run, header.runIdentifier == run.runIdentifier { return true }
    return header.parentIdentifier == nil && run?.parentIdentifier == nil
  }

  /// Begins a run of its own; checkpoints that are in the store belong to the past from its first
  /// save on.
  package func beginFreshRun() {
    run = RunContext(
      runIdentifier: makeIdentifier(), parentIdentifier: nil, branchPoints: [],
      supersededGeneration: lastGeneration, resumedIdentifier: nil)
  }

  /// Continues the run of a checkpoint.
  ///
  /// - Parameters:
  ///   - reader: The checkpoint that was restored.
  ///   - choice: Whether a person chose it, which settles what else is in the store.
  package func continueRun(from reader: CheckpointReader, choice: ResumeChoice) {
    let header = reader.header
    let point = CheckpointHeader.BranchPoint(
      generation: header.generation, step: header.step, identifier: header.checkpointIdentifier)
    run = RunContext(
      runIdentifier: header.runIdentifier, parentIdentifier: header.checkpointIdentifier,
      branchPoints: (header.branchPoints + [point]).suffix(CheckpointHeader.branchPointCountMax),
      supersededGeneration: choice == .automatic ? header.supersededGeneration : lastGeneration,
      resumedIdentifier: header.checkpointIdentifier, isResumedFromNewest: choice == .automatic)
    run?.abandonedGenerations = abandonedGenerations(since: reader)
    #if Mutants
      if Mutant.isActive(.resumedCheckpointNotSpared) { run?.resumedIdentifier = nil }
    #endif
  }

  /// What does not lead to a run that goes on from a checkpoint: all that is newer.
  ///
  /// If it comes from another store its numbers mean nothing here, and none of this store's files lead
  /// to the run. A copy of one of this store's files is one of them, wherever it lies and whatever
  /// became of the original: the files of its run are here.
  private func abandonedGenerations(since reader: CheckpointReader) -> GenerationRanges {
    let header = reader.header
    let isOfThisStore =
      (try? list())?.entries.contains {
        // What a run that failed has left says nothing of whose store this is.
        $0.role != .emergency && $0.header?.runIdentifier == header.runIdentifier
      } ?? true  // When in doubt, what led here may still be the best.
    var result = isOfThisStore ? GenerationRanges(recordedIn: reader.metadata) : GenerationRanges()
    let first = isOfThisStore ? header.generation + 1 : 0
    if first <= lastGeneration { result.append(first...lastGeneration) }
    return result
  }

  func makeIdentifier() -> Identifier {
    let bits = options.device.randomBits()
    return Identifier(high: bits.0, low: bits.1)
  }
}

/// Who chose the checkpoint that a run is resumed from.
package enum ResumeChoice: Hashable, Sendable {
  /// The newest intact one was taken, which is unambiguous.
  case automatic
  /// A person named it.
  case deliberate
}
