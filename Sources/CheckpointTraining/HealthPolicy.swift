internal import CheckpointEngine

/// What makes a state unhealthy: it is saved all the same, and marked.
///
/// ```swift
/// let health: HealthPolicy = .finite + .noSpike(of: "loss", above: 3)
/// ```
///
/// `resume(from: .latestHealthy)` passes over marked checkpoints, none of them is the best, and retention
/// never removes the newest healthy one.
public struct HealthPolicy: Sendable {
  struct Spike: Sendable {
    let metric: String
    let factor: Double
    let window: Int
  }

  /// The tensors in which only numbers may stand.
  private(set) var finite: [StateSelection] = []
  private(set) var spikes: [Spike] = []

  /// Nothing is checked.
  public static let none = HealthPolicy()

  /// No tensor of floats holds a NaN or an infinity, and no metric is one.
  ///
  /// Costs a pass over the state before each save; in the background its thread makes it.
  public static let finite = finite(in: .everything)

  /// No selected tensor of floats holds a NaN or an infinity, and no metric is one.
  public static func finite(in selection: StateSelection) -> HealthPolicy {
    var policy = HealthPolicy()
    policy.finite = [selection]
    return policy
  }

  /// A metric is not far above what it was.
  ///
  /// - Parameters:
  ///   - metric: Its name among the metrics of a step; a step without it is not checked.
  ///   - factor: It may be so many times the median of the last values.
  ///   - window: How many values are looked at; with fewer than half as many nothing is said. After a
  ///     resume they are those at the checkpoints before.
  /// - Returns: The policy.
  /// - Precondition: `factor` is above 1 and `window` at least 2.
  public static func noSpike(
    of metric: String, above factor: Double, over window: Int = 50
  ) -> HealthPolicy {
    precondition(factor > 1 && window >= 2, "a spike is more than one of several values")
    var policy = HealthPolicy()
    policy.spikes = [Spike(metric: metric, factor: factor, window: window)]
    return policy
  }

  /// Both.
  public static func + (left: HealthPolicy, right: HealthPolicy) -> HealthPolicy {
    var policy = left
    policy.finite += right.finite
    policy.spikes += right.spikes
    return policy
  }
}

/// Judges states by a policy.
struct HealthMonitor {
  private let policy: HealthPolicy
  /// The last values of the metrics that are watched for spikes, newest last.
  private var recent: [String: [Double]] = [:]

  init(_ policy: HealthPolicy) { self.policy = policy }

  /// Begins with what was measured before.
  mutating func begin(_ history: MetricHistory) {
    recent = [:]
    for spike in policy.spikes {
      for known in history.values[spike.metric] ?? [] { add(known.value, spike) }
    }
  }

  /// Takes note of what was measured at a step.
  mutating func observe(_ metrics: [String: Double]) {
    for spike in policy.spikes {
      if let value = metrics[spike.metric] { add(value, spike) }
    }
  }

  private mutating func add(_ value: Double, _ spike: HealthPolicy.Spike) {
    guard value.isFinite else { return }
    // Two policies may watch one metric.
    let longest = policy.spikes.lazy.filter { $0.metric == spike.metric }.map(\.window).max() ?? 0
    guard spike.window == longest else { return }
    recent[spike.metric, default: []].append(value)
    if recent[spike.metric, default: []].count > longest { recent[spike.metric]?.removeFirst() }
  }

  /// What is wrong with the metrics of a step, by what was measured before it; nil if nothing is.
  func objection(to metrics: [String: Double]) -> String? {
    if !policy.finite.isEmpty {
      let names = metrics.filter { !$0.value.isFinite }.keys.sorted()
      if let name = names.first, let value = metrics[name] {
        return "the metric '\(name)' is \(value)"
      }
    }
    for spike in policy.spikes {
      guard let value = metrics[spike.metric] else { continue }
      guard value.isFinite else { return "the metric '\(spike.metric)' is \(value)" }
      let known = (recent[spike.metric] ?? []).suffix(spike.window).sorted()
      guard known.count >= max(2, spike.window / 2) else { continue }
      let median = known[known.count / 2]
      guard value > median + (spike.factor - 1) * abs(median) else { continue }
      return "the metric '\(spike.metric)' is \(value), and was \(median) in the middle"
    }
    return nil
  }

  /// Something to find what is wrong with the tensors of a plan; nil if none is looked at.
  func scanner(of plan: SavePlan) -> FiniteScanner? {
    let selections = policy.finite
    guard !selections.isEmpty else { return nil }
    return FiniteScanner(plan) { name in selections.contains { $0.contains(name) } }
  }
}
