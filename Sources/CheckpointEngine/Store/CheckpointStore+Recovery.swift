internal import CheckpointFormat

#if Mutants
  internal import CheckpointMutants
#endif

/// Which checkpoint of a store to take.
public enum CheckpointSelection: Hashable, Sendable {
  /// The newest intact one.
  case latest
  /// The newest intact one that was not marked unhealthy when it was saved.
  case latestHealthy
  /// The newest intact one of a training step.
  case step(UInt64)
  /// The one of a generation.
  case generation(UInt64)
  /// The intact one with the best value of a metric, in the lineage of the run or else of the newest
  /// checkpoint.
  case best(metric: String, MetricDirection)
}

/// A checkpoint that recovery passed over.
public struct SkippedCheckpoint: Hashable, Sendable {
  /// The file's path.
  public let path: String
  /// Why it was passed over.
  public let reason: CheckpointError
}

/// The checkpoint that recovery chose.
public struct Recovery: Sendable {
  /// The checkpoint, every byte of it verified.
  public let reader: CheckpointReader
  /// Newer candidates that are damaged, newest first.
  public let skipped: [SkippedCheckpoint]
}

extension CheckpointStore {
  /// Finds the checkpoint to resume from and verifies every byte of it.
  ///
  /// Candidates are tried by generation, newest first. Only damage, incompleteness and things that
  /// are no regular files are passed over; a newer candidate that could not be read, or that needs
  /// a newer build, stops the search, since going on from an older one would lose work silently.
  ///
  /// - Parameter selection: Which checkpoint to take.
  /// - Returns: The chosen checkpoint, or nil if `.latest` or `.best` was asked for and no file bears
  ///   a checkpoint's name; what runs that failed have left does not count.
  /// - Throws: ``CheckpointError``: `.noIntactCheckpoint` with every reason, `.notFound` if no
  ///   checkpoint has the step or generation, `.ambiguous`, `.unreadable` or `.unsupported`.
  /// - Complexity: Reads the chosen file and each that was passed over once.
  public func recover(
    _ selection: CheckpointSelection = .latest
  ) throws(CheckpointError) -> Recovery? {
    #if Mutants
      if Mutant.isActive(.freshStartOverDamage), try holdsNothingIntact() { return nil }
    #endif
    return try recover(selection, passingOver: [:]) { (_) throws(CheckpointError) in }
  }

  /// Recovers, passing over files that turned out to be damaged while they were restored.
  ///
  /// - Parameters:
  ///   - selection: Which checkpoint to take.
  ///   - rejected: The reasons, by path.
  ///   - check: Is given a candidate whose index is sound, before its chunks are read; what it
  ///     throws ends the search.
  /// - Returns: As ``recover(_:)``.
  /// - Throws: As ``recover(_:)``, and what `check` throws.
  package func recover(
    _ selection: CheckpointSelection, passingOver rejected: [String: CheckpointError],
    checking check: (CheckpointReader) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> Recovery? {
    // A candidate may be removed by the writer's retention while it is being looked at.
    for _ in 0..<100 {
      let listing = try list()
      let (candidates, unranked) = try select(selection, from: listing)
      if candidates.isEmpty, listing.isEmpty { return nil }
      let search = Search(
        abandoned: selection == .latestHealthy ? leftBehind(candidates) : nil,
        unranked: unranked, rejected: rejected, candidates: candidates)
      if let recovery = try firstIntact(search, listing, check) { return recovery }
    }
    throw CheckpointError(
      .unreadable, "The checkpoints of \(escaped(path)) keep changing. Try again.",
      at: CheckpointError.Location(path: path))
  }

  private func select(
    _ selection: CheckpointSelection, from listing: StoreListing
  ) throws(CheckpointError) -> (candidates: [StoreEntry], unranked: Set<String>) {
    let selected: [StoreEntry]
    var unranked: Set<String> = []
    let what: String
    switch selection {
    case .latest, .latestHealthy: return (listing.candidates, [])
    case .step(let step):
      selected = listing.candidates.filter { $0.step == step }
      what = "step \(step)"
    case .generation(let generation):
      selected = listing.candidates.filter { $0.generation == generation }
      what = "generation \(generation)"
    case .best(let metric, let direction):
      if listing.isEmpty { return ([], []) }
      (selected, unranked) = ranked(listing.candidates, by: metric, direction)
      what = "a value of '\(escaped(metric))'"
    }
    guard selected.isEmpty else { return (selected, unranked) }
    let others = listing.candidates.map { "step \($0.step)" }.joined(separator: ", ")
    throw CheckpointError(
      .notFound,
      "\(escaped(path)) has no checkpoint of \(what). "
        + (others.isEmpty ? "It has none at all." : "It has: \(others)."),
      at: CheckpointError.Location(path: path))
  }

  /// The candidates of a lineage with a value of a metric, the best first, of equal ones the older.
  ///
  /// Those that do not tell come before: whatever is wrong with them must be found out, since one of
  /// them may be the best.
  private func ranked(
    _ candidates: [StoreEntry], by metric: String, _ direction: MetricDirection
  ) -> (candidates: [StoreEntry], unranked: Set<String>) {
    var silent: [StoreEntry] = []
    var measured: [(value: Double, entry: StoreEntry)] = []
    var lineage = run.map { (identifier: $0.runIdentifier, abandoned: $0.abandonedGenerations) }
    for entry in candidates {
      guard entry.problem == nil, let header = entry.header, let reader = try? open(entry) else {
        silent.append(entry)
        continue
      }
      // Candidates come newest first.
      let known =
        lineage ?? (header.runIdentifier, GenerationRanges(recordedIn: reader.metadata))
      lineage = known
      guard header.runIdentifier == known.identifier, !known.abandoned.contains(header.generation),
        reader.metadata.unhealthyReason == nil, let value = reader.metadata.metrics[metric],
        !value.isNaN
      else { continue }
      measured.append((value, entry))
    }
    // The sort is stable.
    let best = measured.reversed().sorted { direction.isBetter($0.value, than: $1.value) }
    return best.isEmpty ? ([], []) : (silent + best.map(\.entry), Set(silent.map(\.path)))
  }

  /// What the run of the newest checkpoint that can be opened has left behind.
  private func leftBehind(_ candidates: [StoreEntry]) -> GenerationRanges {
    if let run { return run.abandonedGenerations }
    for entry in candidates where entry.problem == nil {
      if let reader = try? open(entry) { return GenerationRanges(recordedIn: reader.metadata) }
    }
    return GenerationRanges()
  }

  /// What one look through the candidates goes by.
  private struct Search {
    /// What the newest one's run has left behind, if healthy ones are wanted; else nil.
    let abandoned: GenerationRanges?
    /// The paths of candidates that did not tell what they are ranked by.
    let unranked: Set<String>
    let rejected: [String: CheckpointError]
    let candidates: [StoreEntry]

    /// Why a candidate is passed over although it may be intact.
    func objection(to reader: CheckpointReader) -> CheckpointError? {
      guard let abandoned else { return nil }
      let location = CheckpointError.Location(path: reader.path)
      if let reason = reader.metadata.unhealthyReason {
        return CheckpointError(
          .unhealthy, "\(escaped(reader.path)) was marked unhealthy: \(escaped(reason)).",
          at: location)
      }
      guard abandoned.contains(reader.header.generation) else { return nil }
      return CheckpointError(
        .unhealthy, "\(escaped(reader.path)) was left behind when the run was taken back.",
        at: location)
    }
  }

  /// The first candidate that verifies; nil if the listing is out of date.
  private func firstIntact(
    _ search: Search, _ listing: StoreListing,
    _ check: (CheckpointReader) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> Recovery? {
    var skipped: [SkippedCheckpoint] = []
    for entry in search.candidates {
      if let reason = search.rejected[entry.path] {
        if reason.code != .unhealthy, let header = entry.header {
          verdicts[FileKey(entry.name, header)] = .notCounted
        }
        skipped.append(SkippedCheckpoint(path: entry.path, reason: reason))
        continue
      }
      switch try examine(entry, objecting: search.objection, checking: check) {
      case .intact(let reader):
        // It could not be opened when they were ranked, and has no place among them.
        if search.unranked.contains(entry.path) { return nil }
        try requireUnambiguous(reader, among: search.candidates)
        return Recovery(reader: reader, skipped: skipped)
      case .passedOver(let reason):
        skipped.append(SkippedCheckpoint(path: entry.path, reason: reason))
      case .vanished: return nil
      }
    }
    let hasOthers =
      search.candidates.count < listing.candidates.count
      || skipped.contains { $0.reason.code == .unhealthy }
    skipped += listing.entries.compactMap { entry in
      entry.reasonNotToBeCandidate.map { SkippedCheckpoint(path: entry.path, reason: $0) }
    }
    throw nothingIntact(
      skipped, isSelection: search.candidates.count < listing.candidates.count,
      hasOthers: hasOthers, search.abandoned != nil ? "intact and healthy" : "intact")
  }

  private func nothingIntact(
    _ skipped: [SkippedCheckpoint], isSelection: Bool, hasOthers: Bool, _ quality: String
  ) -> CheckpointError {
    CheckpointError(
      .noIntactCheckpoint,
      (isSelection ? "What was asked for of" : "No checkpoint of")
        + " \(escaped(path)) is \(isSelection ? "not " : "")\(quality), and nothing was started "
        + "afresh:\n" + skipped.map { "  " + $0.reason.message }.joined(separator: "\n")
        + (hasOthers
          ? "\nThere are others: name one of them, or resume from the latest."
          : "\nMove the files away to start over, or name another checkpoint by its path."),
      at: CheckpointError.Location(path: path))
  }

  enum Examination {
    case intact(CheckpointReader)
    case passedOver(CheckpointError)
    case vanished
  }

  /// Verifies every byte of a candidate; throws what must stop a search.
  func examine(
    _ entry: StoreEntry, objecting objection: (CheckpointReader) -> CheckpointError? = { _ in nil },
    checking check: (CheckpointReader) throws(CheckpointError) -> Void = { _ in }
  ) throws(CheckpointError) -> Examination {
    if let problem = entry.problem { return .passedOver(try requirePassable(problem)) }
    let reader: CheckpointReader
    do throws(CheckpointError) {
      reader = try open(entry)
    } catch {
      if error.code == .notFound { return .vanished }
      return .passedOver(try requirePassable(error))
    }
    if let reason = objection(reader) { return .passedOver(reason) }
    try check(reader)
    #if Mutants
      if Mutant.isActive(.verificationSkippedAtRecovery) { return .intact(reader) }
    #endif
    let findings = verify(reader, entry).findings
    guard let first = findings.first else {
      verdicts[FileKey(entry.name, reader.header)] = Verdict(intact: reader.metadata)
      return .intact(reader)
    }
    // If any part could not be read, whether the rest is damaged does not decide it.
    for finding in findings where finding.code != .corrupted { _ = try requirePassable(finding) }
    verdicts[FileKey(entry.name, reader.header)] = .notCounted
    return .passedOver(first)
  }

  /// Verifies every byte of a checkpoint of this store.
  func verify(_ reader: CheckpointReader, _ entry: StoreEntry) -> VerificationReport {
    reader.verify(.full) { [verificationProgress] in verificationProgress?(entry.name, $0, $1) }
  }

  /// Returns `problem` if recovery may fall back over it, and throws it with the way on otherwise.
  private func requirePassable(
    _ problem: CheckpointError
  ) throws(CheckpointError) -> CheckpointError {
    #if Mutants
      if Mutant.isActive(.unreadableCandidatePassedOver) { return problem }
    #endif
    if problem.code == .corrupted || problem.code == .notRegular { return problem }
    var stop = problem
    stop.message +=
      " Nothing older was taken in its place. To go on from an older checkpoint deliberately, name "
      + "its step, generation or path."
    throw stop
  }
}

#if Mutants
  extension CheckpointStore {
    fileprivate func holdsNothingIntact() throws(CheckpointError) -> Bool {
      for entry in try list().entries {
        if case .intact = try examine(entry) { return false }
      }
      return true
    }
  }
#endif
