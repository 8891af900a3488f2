internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt prune`.
enum PruneCommand {
  static let command = Subcommand(
    "prune",
    kinds: [
      "keep-last": .value, "keep-best": .repeated, "keep-every": .repeated,
      "keep-within": .value, "budget": .value, "dry-run": .flag, "json": .flag,
    ], help: help
  ) { options in
    guard options.positionals.count == 1 else {
      throw UsageError("Name one directory of checkpoints.")
    }
    let policy = try policy(options)
    let path = options.positionals[0]
    // For writing a store is created, which nobody wants of a mistyped name.
    let access: CheckpointStore.Access = options.has("dry-run") ? .reading : .writing
    var store = try CheckpointStore(path, for: .reading)
    guard try !store.entries().isEmpty else {
      StandardStreams.writeError("ckpt prune: \(escaped(path)) holds no checkpoint.")
      return .success
    }
    if access == .writing { store = try CheckpointStore(path, for: .writing) }
    guard let outcome = try outcome(of: policy, in: store, isDryRun: access == .reading) else {
      StandardStreams.writeError(
        "ckpt prune: \(escaped(path)) holds only what runs that failed have left, which stays.")
      return .success
    }
    for line in options.has("json") ? outcome.json : outcome.text {
      StandardStreams.writeOutput(line)
    }
    for note in outcome.notes { StandardStreams.writeError("ckpt prune: \(note)") }
    return outcome.isComplete ? .success : .cannotTell
  }

  /// - Returns: Nil if there is no checkpoint that a run could go on from.
  private static func outcome(
    of policy: RetentionPolicy, in store: CheckpointStore, isDryRun: Bool
  ) throws(CheckpointError) -> PruneOutcome? {
    let progress = ProgressLine()
    defer { progress.clear() }
    store.verificationProgress = { name, done, total in
      progress.update {
        ProgressLine.text("verifying \(name)", done: done, of: total, columnCount: $0)
      }
    }
    guard try store.standAtNewest() else { return nil }
    let decisions = try store.retentionPlan(policy)
    return PruneOutcome(decisions: decisions, report: isDryRun ? nil : store.prune(policy))
  }

  private static func policy(_ options: OptionParser) throws(UsageError) -> RetentionPolicy {
    var policies: [RetentionPolicy] = []
    if let count = try options.integer("keep-last", in: 1...Int.max) {
      policies.append(.last(count))
    }
    for text in options.strings("keep-best") { policies.append(try best(text)) }
    for text in options.strings("keep-every") {
      guard let steps = Int(text), steps >= 1, text.utf8.allSatisfy({ $0 != 0x2b }) else {
        throw UsageError("--keep-every: '\(text)' is no number of steps, 1 or more.")
      }
      policies.append(.every(steps: steps))
    }
    if let hours = try options.number("keep-within", as: Double.self, in: 0...1e6) {
      policies.append(.within(.seconds(hours * 3600)))
    }
    let budget = try options.byteCount("budget")
    guard budget != 0 else { throw UsageError("--budget: at least one byte.") }
    guard let first = policies.first else {
      guard let budget else {
        throw UsageError(
          "Say what stays: --keep-last, --keep-best, --keep-every, --keep-within or --budget.")
      }
      return .all.withinBudget(ofBytes: budget)
    }
    let rules = policies.dropFirst().reduce(first, +)
    return budget.map { rules.withinBudget(ofBytes: $0) } ?? rules
  }

  /// Reads `METRIC:min`, `METRIC:max` or one of these with `:N`; a metric's name may have colons.
  private static func best(_ text: String) throws(UsageError) -> RetentionPolicy {
    var parts = text.split(separator: ":", omittingEmptySubsequences: false)[...]
    var count = 1
    if parts.count > 2, let last = parts.last, let number = Int(last) {
      count = number
      parts.removeLast()
    }
    let direction: MetricDirection? =
      switch parts.popLast() {
      case "min": .lowest
      case "max": .highest
      default: nil
      }
    let metric = parts.joined(separator: ":")
    guard let direction, count >= 1, TensorDescriptor.isValidName(metric),
      metric.utf8.count <= 4000
    else {
      throw UsageError(
        "--keep-best: '\(text)' is not like eval_loss:min or accuracy:max:3, the three highest.")
    }
    return .best(count, of: metric, direction)
  }

  private static let help = """
    Removes the checkpoints of a store that no rule keeps, while no run has it open.

    usage: ckpt prune DIR RULES [--dry-run] [--json]

    What any of the rules keeps stays; with --budget alone, everything that fits.

      --keep-last N                  The newest N.
      --keep-best METRIC:min[:N]     The N, else one, with the lowest value of a
                                     metric; METRIC:max[:N] with the highest.
      --keep-every STEPS             The first at or after each multiple of STEPS.
      --keep-within HOURS            Those saved within so many hours.
      --budget BYTES                 As many of these as have at most so many bytes,
                                     such as 20G: the oldest go, the best last.
      --dry-run                      Change nothing; say what would go, and why.
      --json                         Print one JSON object per line, as docs/json.md
                                     says.
      --help                         Print this.

    As if the newest run went on, these stay whatever the rules: the newest, read
    to its last byte before anything goes; the one before it, since whether the
    newest survived its own save cannot be told; the newest healthy one; what is
    pinned, set aside, damaged, held by a reader, or left by a run that failed.

    exit status:
       0  done
       2  refused, since a run has the store open or it is unclear which checkpoint
          is the newest; or something could not be read or removed
       3  the newest needs a newer build or larger limits
      64  the command line has no meaning

    example:
      ckpt prune runs/demo --keep-last 3 --keep-best eval_loss:min --dry-run
    """
}
