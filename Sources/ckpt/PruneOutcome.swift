internal import CheckpointEngine
internal import CommandLineTool

/// What `ckpt prune` has done, or would do.
struct PruneOutcome {
  /// Newest first.
  let decisions: [RetentionDecision]
  /// What was done; nil in a dry run.
  let report: RetentionReport?

  private enum Fate: String {
    case kept
    case removed
    /// It should have gone.
    case left
  }

  private func fate(_ decision: RetentionDecision) -> Fate {
    guard decision.isRemoved else { return .kept }
    guard let report else { return .removed }
    return report.removed.contains(decision.entry.path) ? .removed : .left
  }

  /// Whether all that was to go went.
  var isComplete: Bool { report?.warnings.isEmpty ?? true }

  private func reasons(_ decision: RetentionDecision) -> [String] {
    // The newest was found as a resume finds it, and nobody has resumed.
    let reasons = decision.reasons.subtracting([.resumedFrom]).map(\.description).sorted()
    if decision.isOverBudget { return ["over the budget"] + reasons.map { "but for that: " + $0 } }
    return reasons.isEmpty ? ["no rule keeps it"] : reasons
  }

  var text: [String] {
    var table = TextTable([.left, .right, .right, .right, .left])
    for decision in decisions {
      let entry = decision.entry
      let word =
        switch fate(decision) {
        case .kept: "keep"
        case .removed: report == nil ? "remove" : "removed"
        case .left: "stays"
        }
      table.append([
        word, "step \(entry.step)", entry.generation.map { "g\($0)" } ?? "-",
        Readable.size(entry.byteCount), escaped(reasons(decision).joined(separator: ", ")),
      ])
    }
    let lines = zip(table.lines, decisions).map { line, decision in
      let tone: Colors.Tone? =
        switch fate(decision) {
        case .kept: .good
        case .removed: nil
        case .left: .caution
        }
      return Colors.output.paintFirstWord(of: line, tone)
    }
    return lines + ["", summary]
  }

  private var summary: String {
    let all = decisions.lazy.map(\.entry.byteCount).saturatingSum
    let gone = decisions.filter { fate($0) == .removed }
    let free = Readable.size(gone.lazy.map(\.entry.byteCount).saturatingSum)
    let total = "\(Readable.count(decisions.count, "checkpoint")), \(Readable.size(all))"
    guard !gone.isEmpty else { return "\(total): none \(report == nil ? "would go" : "went")." }
    return report == nil
      ? "\(total): \(gone.count) would go, which frees \(free)."
      : "\(total): \(gone.count) went, which freed \(free)."
  }

  /// What a person should know besides.
  var notes: [String] {
    var notes = report?.warnings ?? []
    // The last that is known to be durable is one; all of them bear that reason if none is known.
    if decisions.count(where: { $0.reasons.contains(.lastAcknowledged) }) > 1 {
      notes.append(
        "the checkpoint before the newest is gone, so that none is known to be durable for certain, "
          + "and nothing may go. Once the run has saved again, its own retention can remove what is old."
      )
    }
    return notes
  }

  var json: [String] {
    let objects = decisions.map { decision -> JSONValue in
      let entry = decision.entry
      return .object([
        ("event", .string("checkpoint")), ("schema", .int(1)), ("path", .string(entry.path)),
        ("step", .uint(entry.step)), ("generation", entry.generation.map { .uint($0) } ?? .null),
        ("bytes", .uint(entry.byteCount)), ("fate", .string(fate(decision).rawValue)),
        ("reasons", .array(reasons(decision).map { .string($0) })),
      ])
    }
    let freed = decisions.lazy.filter { fate($0) == .removed }.map(\.entry.byteCount).saturatingSum
    let summary = JSONValue.object([
      ("event", .string("summary")), ("schema", .int(1)), ("dry_run", .bool(report == nil)),
      ("checkpoints", .int(Int64(decisions.count))),
      ("removed", .int(Int64(decisions.count { fate($0) == .removed }))),
      ("freed_bytes", .uint(freed)), ("warnings", .array(notes.map { .string($0) })),
    ])
    return (objects + [summary]).map(\.text)
  }
}
