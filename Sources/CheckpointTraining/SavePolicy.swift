public import CheckpointEngine

/// When the manager saves.
///
/// ```swift
/// let saving: SavePolicy = .every(steps: 500) || .every(.seconds(600))
/// ```
///
/// Whether a save is due is asked after each step that is reported. A save that failed is due again
/// by the same rule: after the next interval, or at the next improvement.
public struct SavePolicy: Hashable, Sendable {
  indirect enum Rule: Hashable, Sendable {
    case manual
    case steps(Int)
    case epochs(Int)
    case interval(nanoseconds: UInt64)
    case improvement(metric: String, MetricDirection, minimum: Double)
    case overhead(share: Double, shortest: UInt64, longest: UInt64)
    case any(Rule, Rule)
    case all(Rule, Rule)
  }

  let rule: Rule

  /// Only when the program asks for it.
  public static let manual = SavePolicy(rule: .manual)

  /// After every `steps` training steps: at multiples of it, or at the first step that is reported
  /// after one.
  ///
  /// - Precondition: `steps` is at least 1.
  public static func every(steps: Int) -> SavePolicy {
    precondition(steps >= 1, "a save interval has at least one step")
    return SavePolicy(rule: .steps(steps))
  }

  /// After every `epochs` epochs, which the program counts.
  ///
  /// - Precondition: `epochs` is at least 1.
  public static func every(epochs: Int) -> SavePolicy {
    precondition(epochs >= 1, "a save interval has at least one epoch")
    return SavePolicy(rule: .epochs(epochs))
  }

  /// At the first step that is reported when so much time has passed since the last save ended, or
  /// since the manager was made.
  ///
  /// - Precondition: `interval` is not negative.
  public static func every(_ interval: Duration) -> SavePolicy {
    SavePolicy(rule: .interval(nanoseconds: interval.saveNanoseconds))
  }

  /// When a metric is better than it was in every checkpoint of this run's lineage.
  ///
  /// The program reports the metric with the step that it belongs to. The best value is kept with
  /// each checkpoint, so that it survives a resume.
  ///
  /// - Parameters:
  ///   - metric: Its name among the metrics of a step; a step without it is no improvement.
  ///   - direction: Which values are better.
  ///   - minimum: By how much at least.
  /// - Returns: The policy.
  /// - Precondition: `minimum` is not negative.
  public static func onImprovement(
    of metric: String, _ direction: MetricDirection, by minimum: Double = 0
  ) -> SavePolicy {
    precondition(minimum >= 0, "an improvement is not negative")
    return SavePolicy(rule: .improvement(metric: metric, direction, minimum: minimum))
  }

  /// As often as a share of the time allows.
  ///
  /// The interval follows from how long the last saves took: with a share of 0.03 and saves of
  /// 3 seconds, 97 seconds lie between two of them. Before anything was measured it is the shortest.
  ///
  /// - Parameters:
  ///   - share: The part of the time that may go into saves, above 0 and below 1.
  ///   - shortest: The interval is never shorter, even if saves cost nothing.
  ///   - longest: The interval is never longer, even if that costs more than the share.
  /// - Returns: The policy.
  public static func overhead(
    atMost share: Double, noOftenerThan shortest: Duration = .seconds(10),
    atLeastEvery longest: Duration = .seconds(3600)
  ) -> SavePolicy {
    precondition(share > 0 && share < 1, "a share lies between 0 and 1")
    let bounds = (shortest.saveNanoseconds, longest.saveNanoseconds)
    precondition(bounds.0 <= bounds.1, "the shortest interval is not longer than the longest")
    return SavePolicy(rule: .overhead(share: share, shortest: bounds.0, longest: bounds.1))
  }

  /// When either is due.
  public static func || (left: SavePolicy, right: SavePolicy) -> SavePolicy {
    SavePolicy(rule: .any(left.rule, right.rule))
  }

  /// When both are due at the same step.
  public static func && (left: SavePolicy, right: SavePolicy) -> SavePolicy {
    SavePolicy(rule: .all(left.rule, right.rule))
  }
}

extension Duration {
  /// The duration as a clock of a storage device counts; as long as can be counted if it is longer.
  var saveNanoseconds: UInt64 {
    precondition(self >= .zero, "an interval is not negative")
    let (seconds, attoseconds) = components
    let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let sum = whole.partialValue.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
    return whole.overflow || sum.overflow ? .max : sum.partialValue
  }
}
