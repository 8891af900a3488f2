internal import CheckpointFormat

#if Mutants
  internal import CheckpointMutants
#endif

// What stays and what goes; CheckpointStore+Retention.swift acts on it.

extension CheckpointStore {
  /// What a policy makes of each entry, newest first.
  func decide(
    _ listing: StoreListing, _ run: RunContext, _ policy: RetentionPolicy
  ) -> [RetentionDecision] {
    var decisions: [RetentionDecision] = []
    var counted: [Counted] = []
    var seen: Set<Identifier> = []
    let acknowledged = lastAcknowledged(run, listing)
    var isCovered = false
    /// Whether all stay, and the newest intact and healthy ones are known: the rest need not be read.
    var isClear: Bool {
      policy.keepsEverything && policy.rules.isEmpty && isCovered
        && counted.contains { $0.isHealthy && $0.isOfLineage }
    }
    for entry in listing.entries {
      guard entry.role == .candidate, let header = entry.header else {
        decisions.append(RetentionDecision(entry: entry, reasons: [.notCounted]))
        continue
      }
      #if Mutants
        if Mutant.isActive(.copiesCountTwice) { seen = [] }
      #endif
      var reasons: Set<RetentionDecision.Reason> = []
      if listing.pins.contains(header.checkpointIdentifier) { reasons.insert(.pinned) }
      if header.checkpointIdentifier == run.resumedIdentifier,
        run.acknowledgedCount < policy.lastCount
      {
        reasons.insert(.resumedFrom)
      }
      // What stays anyway need not be read to find out whether it counts.
      let isSettled = policy.isByNumberOnly && counted.count >= policy.lastCount && isCovered
      if isClear {
        let counts =
          seen.insert(header.checkpointIdentifier).inserted
          && !uncertainGenerations.contains(header.generation)
        reasons.insert(counts ? .everything : .notCounted)
      } else if !isSettled || reasons.isEmpty {
        if case .intact(let metrics, let isHealthy) = verdict(on: entry),
          !uncertainGenerations.contains(header.generation),
          seen.insert(header.checkpointIdentifier).inserted
        {
          if !isCovered { reasons.insert(counted.isEmpty ? .newest : .lastAcknowledged) }
          isCovered = isCovered || header.generation <= acknowledged
          counted.append(
            Counted(
              number: decisions.count, header: header, metrics: metrics, isHealthy: isHealthy,
              in: run))
        } else {
          reasons.insert(.notCounted)
        }
      }
      decisions.append(RetentionDecision(entry: entry, reasons: reasons))
    }
    complete(&decisions, counted, policy)
    return decisions
  }

  /// Adds what follows from which checkpoints count.
  private func complete(
    _ decisions: inout [RetentionDecision], _ counted: [Counted], _ policy: RetentionPolicy
  ) {
    if let newest = counted.first {
      decisions[newest.number].reasons.insert(.newest)
      // Otherwise a run that has gone wrong would in time remove all that it could go back to.
      #if Mutants
        let isSpared = !Mutant.isActive(.healthyOneNotSpared)
      #else
        let isSpared = true
      #endif
      let healthy =
        counted.first { $0.isHealthy && $0.isOfLineage } ?? counted.first(where: \.isHealthy)
      if isSpared, !newest.isHealthy, let healthy {
        decisions[healthy.number].reasons.insert(.newestHealthy)
      }
    }
    if policy.keepsEverything {
      for one in counted { decisions[one.number].reasons.insert(.everything) }
    }
    for rule in policy.rules {
      for one in kept(by: rule, counted) { decisions[one.number].reasons.insert(.rule(rule)) }
    }
    policy.byteBudget.map { trim(&decisions, to: $0) }
  }

  /// Gives up what only rules keep, oldest first and the best last, until the files of the store have
  /// at most so many bytes.
  private func trim(_ decisions: inout [RetentionDecision], to budget: UInt64) {
    var total = decisions.lazy.filter { !$0.isRemoved }.map(\.entry.byteCount).saturatingSum
    let fixed = decisions.lazy.filter { !$0.isRemoved && !$0.isKeptByRulesOnly }
      .map(\.entry.byteCount).saturatingSum
    // Where the budget cannot be met, the best would go for nothing.
    for isBest in fixed <= budget ? [false, true] : [false] {
      for number in decisions.indices.reversed() where total > budget {
        let decision = decisions[number]
        guard !decision.isRemoved, decision.isKeptByRulesOnly, decision.isBest == isBest else {
          continue
        }
        // What nobody had to look at so far: damaged ones do not go.
        guard case .intact = verdict(on: decision.entry) else {
          decisions[number].reasons = [.notCounted]
          continue
        }
        decisions[number].isOverBudget = true
        total = decisions.lazy.filter { !$0.isRemoved }.map(\.entry.byteCount).saturatingSum
      }
    }
  }

  /// An intact checkpoint, and what rules look at.
  private struct Counted {
    /// Its place among the decisions.
    let number: Int
    let header: CheckpointHeader
    let metrics: [String: Double]
    let isHealthy: Bool
    let isOfLineage: Bool

    init(
      number: Int, header: CheckpointHeader, metrics: [String: Double], isHealthy: Bool,
      in run: RunContext
    ) {
      self.number = number
      self.header = header
      self.metrics = metrics
      self.isHealthy = isHealthy
      var isOfLineage =
        header.runIdentifier == run.runIdentifier
        && !run.abandonedGenerations.contains(header.generation)
      #if Mutants
        if Mutant.isActive(.abandonedBranchCounts) { isOfLineage = true }
      #endif
      self.isOfLineage = isOfLineage
    }
  }

  private func kept(by rule: RetentionPolicy.Rule, _ counted: [Counted]) -> [Counted] {
    switch rule {
    case .last(let count): return Array(counted.prefix(count))
    case .best(let count, let metric, let direction):
      let measured = counted.reversed().compactMap { one -> (value: Double, one: Counted)? in
        guard one.isOfLineage, one.isHealthy, let value = one.metrics[metric], !value.isNaN else {
          return nil
        }
        return (value, one)
      }
      // The sort is stable: of equal values the older comes first.
      return measured.sorted { direction.isBetter($0.value, than: $1.value) }
        .prefix(count).map(\.one)
    case .every(let steps):
      var block: UInt64 = 0
      return counted.reversed().filter { one in
        guard one.isOfLineage, one.header.step / steps > block else { return false }
        block = one.header.step / steps
        return true
      }
    case .within(let nanoseconds):
      let (start, isFarBack) = options.device.timeSource.now()
        .subtractingReportingOverflow(nanoseconds)
      return counted.filter { isFarBack || $0.header.savedAt >= start }
    }
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
  private func verdict(on entry: StoreEntry) -> Verdict {
    guard entry.problem == nil, let header = entry.header else { return .notCounted }
    let key = FileKey(entry.name, header)
    if verdicts[key] == nil, (try? examine(entry)) == nil {
      // It cannot be told, and is not asked again after every save.
      verdicts[key] = .notCounted
    }
    #if Mutants
      if Mutant.isActive(.damagedFilesCount), case .notCounted? = verdicts[key] {
        return .intact(metrics: [:], isHealthy: true)
      }
    #endif
    return verdicts[key] ?? .notCounted
  }
}
