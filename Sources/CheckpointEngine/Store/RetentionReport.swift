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
      case .resumedFrom: "the run was resumed from it"
      case .notCounted: "not counted"
      }
    }
  }

  /// The checkpoint.
  public let entry: StoreEntry
  /// Why it stays; it goes if there is no reason.
  public internal(set) var reasons: Set<Reason>

  /// Whether it goes.
  public var isRemoved: Bool { reasons.isEmpty }

  /// Whether the policy keeps it, and not only caution.
  var countsAndStays: Bool {
    reasons.contains { reason in
      switch reason {
      case .rule, .everything, .newest, .lastAcknowledged: true
      case .pinned, .resumedFrom, .notCounted: false
      }
    }
  }
}
