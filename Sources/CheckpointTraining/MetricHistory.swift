internal import CheckpointEngine
internal import CheckpointFormat

/// The metrics of the checkpoints of a lineage, kept with each of them, so that what is best is known
/// whatever became of the files.
struct MetricHistory {
  /// Oldest first, by name.
  private(set) var values: [String: [MetricValue]] = [:]
  /// The best values, also of what was too old to keep.
  private var lowest: [String: Double] = [:]
  private var highest: [String: Double] = [:]

  /// Values kept in a file, of all metrics together: 128 KiB, so that strict limits accept them.
  private static let countMax = 8_192

  /// The best value so far; nil if there was none but NaN.
  func best(of metric: String, _ direction: MetricDirection) -> Double? {
    direction == .lowest ? lowest[metric] : highest[metric]
  }

  /// Adds what was measured at a save; what an unhealthy state measures is not the best of anything.
  mutating func add(_ metrics: [String: Double], step: Int, isHealthy: Bool) {
    for (name, value) in metrics {
      values[name, default: []].append(MetricValue(step: step, value: value))
      guard isHealthy, !value.isNaN else { continue }
      lowest[name] = lowest[name].map { min($0, value) } ?? value
      highest[name] = highest[name].map { max($0, value) } ?? value
    }
    let limit = Self.countMax / max(values.count, 1)
    for (name, known) in values where known.count > limit {
      values[name] = Array(known.suffix(limit))
    }
  }
}

/// A measurement at a step.
public struct MetricValue: Hashable, Sendable {
  /// The training step.
  public let step: Int
  /// What was measured.
  public let value: Double
}

// MARK: In a checkpoint

extension MetricHistory {
  private static let historyPrefix = "metric_history/"
  private static let lowestPrefix = "metric_lowest/"
  private static let highestPrefix = "metric_highest/"

  /// Names beyond this have no history: with the prefix they would be too long to be kept.
  private static let nameByteCountMax = 4_000

  func record(in metadata: inout Metadata) {
    for (name, known) in values where name.utf8.count <= Self.nameByteCountMax {
      var bytes = ByteWriter(reservingCapacity: known.count * 16)
      for one in known {
        bytes.append(UInt64(one.step))
        bytes.append(one.value.bitPattern)
      }
      metadata[.environment, Self.historyPrefix + name] = .bytes(bytes.bytes)
      metadata[.environment, Self.lowestPrefix + name] = lowest[name].map { .float64($0) }
      metadata[.environment, Self.highestPrefix + name] = highest[name].map { .float64($0) }
    }
  }

  init(recordedIn metadata: Metadata) {
    for (name, value) in metadata.entries(of: .environment) {
      switch value {
      case .bytes(let bytes) where name.hasPrefix(Self.historyPrefix):
        var reader = ByteReader(bytes.rawSpan, at: 0)
        var known: [MetricValue] = []
        while let step = try? reader.readCounter(), let bits = try? reader.read(UInt64.self) {
          known.append(MetricValue(step: Int(step), value: Double(bitPattern: bits)))
        }
        values[String(name.dropFirst(Self.historyPrefix.count))] = known
      case .float64(let bits) where name.hasPrefix(Self.lowestPrefix):
        lowest[String(name.dropFirst(Self.lowestPrefix.count))] = Double(bitPattern: bits)
      case .float64(let bits) where name.hasPrefix(Self.highestPrefix):
        highest[String(name.dropFirst(Self.highestPrefix.count))] = Double(bitPattern: bits)
      default: break
      }
    }
  }
}
