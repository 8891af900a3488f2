internal import CheckpointEngine
internal import CheckpointFormat

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
  /// The last values are kept with each checkpoint, so that a resumed run knows them. Those that are too
  /// high themselves do not count: what has gone wrong does not become the measure.
  ///
  /// - Parameters:
  ///   - metric: Its name among the metrics of a step; a step without it is not checked.
  ///   - factor: It may be so many times the median of the last values.
  ///   - window: How many values are looked at; before there are ten, or as many as that, nothing is
  ///     said.
  /// - Returns: The policy.
  /// - Precondition: `factor` is above 1, `window` from 2 to 4,096; the name has at most 4,000 bytes.
  public static func noSpike(
    of metric: String, above factor: Double, over window: Int = 50
  ) -> HealthPolicy {
    precondition(
      factor > 1 && (2...4096).contains(window), "a spike is more than one of several values")
    precondition(metric.utf8.count <= 4000, "that cannot name a metric")
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

  /// Begins with what was measured before; nil for a fresh run.
  mutating func begin(_ metadata: Metadata?) {
    recent = [:]
    guard let metadata else { return }
    let history = MetricHistory(recordedIn: metadata)
    for metric in Set(policy.spikes.map(\.metric)) {
      // The run before may not have watched it; then what was measured at its saves must do.
      let known =
        Self.recorded(metric, in: metadata) ?? history.values[metric]?.map(\.value) ?? []
      recent[metric] = known.filter(\.isFinite).suffix(longestWindow(of: metric))
    }
  }

  /// Takes note of what was measured at a step.
  mutating func observe(_ metrics: [String: Double]) {
    for metric in Set(policy.spikes.map(\.metric)) {
      guard let value = metrics[metric], value.isFinite,
        policy.spikes.allSatisfy({ $0.metric != metric || excess(of: value, $0) == nil })
      else { continue }
      recent[metric, default: []].append(value)
      if recent[metric, default: []].count > longestWindow(of: metric) {
        recent[metric]?.removeFirst()
      }
    }
  }

  private func longestWindow(of metric: String) -> Int {
    policy.spikes.lazy.filter { $0.metric == metric }.map(\.window).max() ?? 0
  }

  /// The median, if a value is too far above it.
  private func excess(of value: Double, _ spike: HealthPolicy.Spike) -> Double? {
    let known = (recent[spike.metric] ?? []).suffix(spike.window).sorted()
    guard known.count >= min(spike.window, 10) else { return nil }
    let median = known[known.count / 2]
    return value > median + (spike.factor - 1) * abs(median) ? median : nil
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
      guard let median = excess(of: value, spike) else { continue }
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

// MARK: In a checkpoint

extension HealthMonitor {
  private static let prefix = "recent_metric/"

  /// Keeps the last values of what is watched.
  func record(in metadata: inout Metadata) {
    for (metric, values) in recent {
      var bytes = ByteWriter(reservingCapacity: values.count * 8)
      for value in values { bytes.append(value.bitPattern) }
      metadata[.environment, Self.prefix + metric] = .bytes(bytes.bytes)
    }
  }

  private static func recorded(_ metric: String, in metadata: Metadata) -> [Double]? {
    guard case .bytes(let bytes)? = metadata[.environment, prefix + metric] else { return nil }
    var reader = ByteReader(bytes.rawSpan, at: 0)
    var values: [Double] = []
    while let bits = try? reader.read(UInt64.self) { values.append(Double(bitPattern: bits)) }
    return values
  }
}
