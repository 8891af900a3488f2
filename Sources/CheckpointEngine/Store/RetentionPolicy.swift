internal import CheckpointFormat

/// Which checkpoints of a store are kept: those that any of its rules keeps.
///
/// ```swift
/// let keeping: RetentionPolicy = .last(3) + .best(1, of: "eval_loss", .lowest)
/// ```
///
/// Only intact checkpoints count. ``CheckpointStore/retain(_:)`` says what stays besides.
public struct RetentionPolicy: Hashable, Sendable {
  /// One reason to keep a checkpoint.
  public enum Rule: Hashable, Sendable {
    /// Among the newest `count`.
    case last(Int)
    /// Among the `count` of this run's lineage with the best value of a metric.
    case best(Int, metric: String, MetricDirection)
    /// The first of this run's lineage at or after a multiple of `steps`.
    case every(steps: UInt64)
    /// Saved within so many nanoseconds.
    case within(nanoseconds: Int64)
  }

  /// The rules.
  public private(set) var rules: Set<Rule>

  /// Whether all is kept, as far as the budget goes: rules then say only what goes last.
  public private(set) var keepsEverything: Bool

  /// How many bytes the files of the store may have, or nil for any number.
  public private(set) var byteBudget: UInt64?

  /// Every checkpoint.
  public static let all = RetentionPolicy(rules: [])

  private init(rules: Set<Rule>) {
    self.rules = rules
    keepsEverything = rules.isEmpty
  }

  /// The newest `count` intact checkpoints.
  ///
  /// - Precondition: `count` is at least 1.
  public static func last(_ count: Int) -> RetentionPolicy {
    precondition(count >= 1, "retention keeps at least one checkpoint")
    return RetentionPolicy(rules: [.last(count)])
  }

  /// The `count` best by a metric that was saved with them, and the newest.
  ///
  /// Checkpoints of this run's lineage compete: a branch that was abandoned when the run was
  /// resumed from an earlier step does not. Of equal values the older wins; NaN never does.
  ///
  /// - Precondition: `count` is at least 1; the name could be that of a tensor and has at most 4,000
  ///   bytes.
  public static func best(
    _ count: Int, of metric: String, _ direction: MetricDirection
  ) -> RetentionPolicy {
    precondition(count >= 1, "retention keeps at least one checkpoint")
    precondition(
      TensorDescriptor.isValidName(metric) && metric.utf8.count <= 4000, "that cannot name a metric"
    )
    return RetentionPolicy(rules: [.best(count, metric: metric, direction)])
  }

  /// The first at or after each multiple of `steps`, zero excepted, and the newest.
  ///
  /// - Precondition: `steps` is at least 1.
  public static func every(steps: Int) -> RetentionPolicy {
    precondition(steps >= 1, "an interval has at least one step")
    return RetentionPolicy(rules: [.every(steps: UInt64(steps))])
  }

  /// Those saved within `age` by the clock of this machine, and the newest.
  ///
  /// - Precondition: `age` is not negative.
  public static func within(_ age: Duration) -> RetentionPolicy {
    precondition(age >= .zero, "an age is not negative")
    let (seconds, attoseconds) = age.components
    let nanoseconds = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let sum = nanoseconds.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
    return RetentionPolicy(
      rules: [.within(nanoseconds: nanoseconds.overflow || sum.overflow ? .max : sum.partialValue)])
  }

  /// The same, but fewer where the files of the store would have more bytes.
  ///
  /// After a save, what only rules keep goes until the budget is met: the oldest first, the best last, and
  /// the best not at all where the budget cannot be met. Nothing else goes, so that a budget that is too small is exceeded, with a warning. All files of
  /// checkpoints count, whatever their condition. A save that is being written comes on top: it must
  /// be durable before anything else goes.
  ///
  /// - Parameter bytes: The budget.
  /// - Returns: The limited policy.
  /// - Precondition: `bytes` is at least 1.
  public func withinBudget(ofBytes bytes: UInt64) -> RetentionPolicy {
    precondition(bytes >= 1, "a budget has at least one byte")
    var result = self
    result.byteBudget = min(byteBudget ?? .max, bytes)
    return result
  }

  /// What either keeps, within the smaller budget; keeping everything outweighs any rule.
  public static func + (left: RetentionPolicy, right: RetentionPolicy) -> RetentionPolicy {
    var result = left.union(right)
    result.byteBudget = [left.byteBudget, right.byteBudget].compactMap { $0 }.min()
    return result
  }

  /// What either keeps; without a budget unless they are the same, since nothing may go that one of them
  /// would have kept.
  package func union(_ other: RetentionPolicy) -> RetentionPolicy {
    if self == other { return self }
    var result = RetentionPolicy(rules: rules.union(other.rules))
    result.keepsEverything = keepsEverything || other.keepsEverything
    return result
  }

  /// Whether nothing is ever removed.
  public var keepsAll: Bool { keepsEverything && byteBudget == nil }

  /// How many of the newest stay, at least one.
  var lastCount: Int {
    rules.reduce(1) { count, rule in
      if case .last(let last) = rule { max(count, last) } else { count }
    }
  }

  /// How many checkpoints are kept at least, once there are so many.
  package var countAtLeast: Int {
    rules.reduce(lastCount) { count, rule in
      guard case .best(let best, _, _) = rule else { return count }
      let sum = count.addingReportingOverflow(best)
      return sum.overflow ? .max : sum.partialValue
    }
  }

  /// How many are kept at most; nil if that depends on how long the run is.
  package var boundedCount: Int? {
    let isBounded =
      !keepsEverything
      && rules.allSatisfy { rule in
        switch rule {
        case .last, .best: true
        case .every, .within: false
        }
      }
    return isBounded ? countAtLeast : nil
  }

  /// Whether the newest alone are asked for.
  var isByNumberOnly: Bool {
    rules.allSatisfy { if case .last = $0 { true } else { false } }
  }
}

/// Which values of a metric are better.
public enum MetricDirection: String, Hashable, Sendable {
  /// Lower ones, as of a loss.
  case lowest
  /// Higher ones, as of an accuracy.
  case highest

  /// Whether `value` is better than `other`; NaN is not.
  public func isBetter(_ value: Double, than other: Double) -> Bool {
    switch self {
    case .lowest: value < other
    case .highest: value > other
    }
  }
}

// MARK: In a checkpoint

// A process that resumes finishes the retention that the one before it owed, by the policy of that
// one as well as its own: so the policy is kept with each checkpoint, in the typed values of the
// environment.

extension RetentionPolicy {
  private static let lastName = "retention_last"
  private static let stepsName = "retention_every_steps"
  private static let ageName = "retention_within_nanoseconds"
  private static let budgetName = "retention_byte_budget"
  private static let bestPrefix = "retention_best_"
  /// Before the names of rules that say only what goes last; older readers see no rule, and keep all.
  private static let everythingPrefix = "everything/"

  /// Notes the policy of the process that saves.
  package func record(in metadata: inout Metadata) {
    metadata[.environment, Self.budgetName] = byteBudget.map { .uint64($0) }
    let prefix = keepsEverything ? Self.everythingPrefix : ""
    for rule in rules {
      let (name, value): (String, MetadataValue) =
        switch rule {
        case .last: (Self.lastName, .int64(Int64(lastCount)))
        case .best(let count, let metric, let direction):
          (Self.bestPrefix + direction.rawValue + "/" + metric, .int64(Int64(count)))
        case .every(let steps): (Self.stepsName + "/\(steps)", .bool(true))
        case .within(let nanoseconds): (Self.ageName + "/\(nanoseconds)", .bool(true))
        }
      metadata[.environment, prefix + name] = value
    }
  }

  /// The policy of the process that saved a checkpoint; what it does not understand is left out.
  package init(recordedIn metadata: Metadata) {
    var rules: Set<Rule> = []
    var budget: UInt64?
    var isEverything = false
    for (entry, value) in metadata.entries(of: .environment) {
      var name = entry[...]
      if entry.hasPrefix(Self.everythingPrefix) {
        isEverything = true
        name = entry.dropFirst(Self.everythingPrefix.count)
      }
      switch value {
      case .uint64(let bytes) where name == Self.budgetName: budget = bytes
      case .int64(let count) where name == Self.lastName && count >= 1:
        rules.insert(.last(Int(clamping: count)))
      case .bool(true) where name.hasPrefix(Self.ageName + "/"):
        let age = Int64(name.dropFirst(Self.ageName.count + 1))
        if let age, age >= 0 { rules.insert(.within(nanoseconds: age)) }
      case .bool(true) where name.hasPrefix(Self.stepsName + "/"):
        let steps = UInt64(name.dropFirst(Self.stepsName.count + 1))
        if let steps, steps >= 1 { rules.insert(.every(steps: steps)) }
      case .int64(let count) where name.hasPrefix(Self.bestPrefix) && count >= 1:
        let rest = name.dropFirst(Self.bestPrefix.count)
        guard let slash = rest.firstIndex(of: "/"),
          let direction = MetricDirection(rawValue: String(rest[..<slash]))
        else { continue }
        let metric = String(rest[rest.index(after: slash)...])
        rules.insert(.best(Int(clamping: count), metric: metric, direction))
      default: break
      }
    }
    self.init(rules: rules)
    keepsEverything = isEverything || rules.isEmpty
    byteBudget = budget
  }
}
