internal import CheckpointEngine

/// What decides whether a save is due: where the run is, and what its saves cost.
struct SaveSchedule {
  private let policy: SavePolicy
  private let now: @Sendable () -> UInt64
  /// The step that was reported or restored last.
  private(set) var lastStep: Int?
  /// The number of completed epochs that was reported or restored last.
  private(set) var lastEpoch: Int?
  /// When the last save ended, or the schedule began.
  private var lastSaveEnd: UInt64
  /// How long the last saves kept training from going on, in nanoseconds, newest last.
  private var costs: [UInt64] = []
  /// How long the last saves took until they were durable, in nanoseconds, newest last.
  private var durations: [UInt64] = []
  /// Of the metrics in checkpoints of this lineage.
  var history: MetricHistory
  /// Of the checkpoint that is being saved in the background.
  var stagedMetrics: [String: Double] = [:]

  /// - Parameters:
  ///   - policy: When to save.
  ///   - now: A clock in nanoseconds that never goes back.
  init(_ policy: SavePolicy, now: @escaping @Sendable () -> UInt64) {
    self.policy = policy
    self.now = now
    lastSaveEnd = now()
    history = MetricHistory()
  }

  /// Goes on after a restored step, or begins afresh.
  mutating func begin(at step: Int?, epoch: Int?, _ history: MetricHistory) {
    lastStep = step
    lastEpoch = epoch
    lastSaveEnd = now()
    self.history = history
    stagedMetrics = [:]
  }

  /// Takes note of a completed step and tells whether a save is due after it.
  mutating func completed(_ step: Int, epoch: Int?, metrics: [String: Double]) -> Bool {
    let isDue = isDue(policy.rule, step, epoch, metrics)
    lastStep = step
    lastEpoch = epoch ?? lastEpoch
    return isDue
  }

  /// Takes note that training goes on after a save, or after the copying for one.
  mutating func saveReturned(began start: UInt64, succeeded: Bool) {
    lastSaveEnd = now()
    if succeeded { Self.note(lastSaveEnd - start, in: &costs) }
  }

  /// Takes note of a save that has become durable.
  mutating func saveCompleted(began start: UInt64, at end: UInt64) {
    Self.note(end - start, in: &durations)
  }

  private static func note(_ duration: UInt64, in durations: inout [UInt64]) {
    durations.append(duration)
    if durations.count > 3 { durations.removeFirst() }
  }

  /// How long the next save will take, in nanoseconds, by the slowest of the last ones; nil before
  /// the first.
  var expectedDuration: UInt64? { durations.max() }

  /// The interval that the overhead budget has come to, in nanoseconds; nil without a budget.
  var chosenInterval: UInt64? { chosenInterval(policy.rule) }

  private func chosenInterval(_ rule: SavePolicy.Rule) -> UInt64? {
    switch rule {
    case .overhead(let share, let shortest, let longest):
      interval(share, shortest, longest)
    case .any(let left, let right), .all(let left, let right):
      chosenInterval(left) ?? chosenInterval(right)
    default: nil
    }
  }

  private func interval(_ share: Double, _ shortest: UInt64, _ longest: UInt64) -> UInt64 {
    guard !costs.isEmpty else { return shortest }
    let mean = costs.reduce(0.0) { $0 + Double($1) } / Double(costs.count)
    return min(max(UInt64(clamping: mean * (1 - share) / share), shortest), longest)
  }

  private func isDue(
    _ rule: SavePolicy.Rule, _ step: Int, _ epoch: Int?, _ metrics: [String: Double]
  ) -> Bool {
    switch rule {
    case .manual: return false
    case .steps(let interval):
      // The first step may be any: it is due if it is a multiple itself.
      return step / interval > (lastStep ?? max(step - 1, 0)) / interval
    case .epochs(let interval):
      guard let epoch else { return false }
      return epoch / interval > (lastEpoch ?? 0) / interval
    case .interval(let nanoseconds): return now() - lastSaveEnd >= nanoseconds
    case .improvement(let metric, let direction, let minimum):
      guard let value = metrics[metric], !value.isNaN else { return false }
      return [history.best(of: metric, direction), stagedMetrics[metric]].allSatisfy { best in
        guard let best, !best.isNaN else { return true }
        return direction.isBetter(value, than: best) && abs(value - best) >= minimum
      }
    case .overhead(let share, let shortest, let longest):
      return now() - lastSaveEnd >= interval(share, shortest, longest)
    case .any(let left, let right):
      return isDue(left, step, epoch, metrics) || isDue(right, step, epoch, metrics)
    case .all(let left, let right):
      return isDue(left, step, epoch, metrics) && isDue(right, step, epoch, metrics)
    }
  }
}

extension UInt64 {
  fileprivate init(clamping value: Double) {
    self = value >= 0x1p63 ? .max : UInt64(Swift.max(value, 0))
  }
}
