/// What retention did.
public struct RetentionReport: Hashable, Sendable {
  /// Paths of removed checkpoints, oldest first.
  public var removed: [String] = []
  /// Why something was left alone that would have been removed.
  public var warnings: [String] = []

  package init() {}
}

/// What retention makes of one checkpoint, and why.
public struct RetentionDecision: Sendable {
  /// Why a checkpoint stays.
  public enum Reason: Hashable, Sendable, CustomStringConvertible {
    /// A rule of the policy keeps it.
    case rule(RetentionPolicy.Rule)
    /// Nothing is ever removed.
    case everything
    /// It is the newest intact one.
    case newest
    /// It is the last one that is known to have been acknowledged.
    case lastAcknowledged
    /// A marker pins it.
    case pinned
    /// It is the newest that was not marked unhealthy, and the newest of all was.
    case newestHealthy
    /// The run was resumed from it, and has too few saves of its own.
    case resumedFrom
    /// It is damaged, cannot be read, was set aside, may not be durable, or is a copy of another:
    /// it does not count, and what does not count does not go.
    case notCounted

    /// The reason in words.
    public var description: String {
      switch self {
      case .rule(.last(let count)): "among the newest \(count)"
      case .rule(.best(let count, let metric, let direction)):
        "among the \(count) with the \(direction.rawValue) \(metric)"
      case .rule(.every(let steps)): "first at or after a multiple of \(steps) steps"
      case .rule(.within(let nanoseconds)):
        "younger than \(nanoseconds / 1_000_000_000) seconds"
      case .everything: "everything is kept"
      case .newest: "the newest"
      case .lastAcknowledged: "the last that is known to be durable"
      case .pinned: "pinned"
      case .newestHealthy: "the newest healthy one"
      case .resumedFrom: "the run was resumed from it"
      case .notCounted: "not counted"
      }
    }
  }

  /// The checkpoint.
  public let entry: StoreEntry
  /// Why it stays, or would if there were room; it goes if there is no reason.
  public internal(set) var reasons: Set<Reason>
  /// Whether it goes because the store has more bytes than its budget.
  public internal(set) var isOverBudget = false

  /// Whether it goes.
  public var isRemoved: Bool { reasons.isEmpty || isOverBudget }

  /// Whether nothing but the policy speaks for it.
  var isKeptByRulesOnly: Bool {
    reasons.allSatisfy { reason in
      switch reason {
      case .rule, .everything: true
      default: false
      }
    }
  }

  /// Whether it is one of the best.
  var isBest: Bool { reasons.contains { if case .rule(.best) = $0 { true } else { false } } }

  /// Whether the policy keeps it, and not only caution.
  var countsAndStays: Bool {
    !isOverBudget
      && reasons.contains { reason in
        switch reason {
        case .rule, .everything, .newest, .newestHealthy, .lastAcknowledged: true
        case .pinned, .resumedFrom, .notCounted: false
        }
      }
  }
}
