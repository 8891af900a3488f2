/// A median and where it lies with 95 % confidence, by the bootstrap.
struct Interval {
  let median: Double
  let low: Double
  let high: Double

  private static let resampleCount = 4000

  /// - Precondition: There is at least one value.
  init(_ values: [Double], seed: Int) {
    var random = RandomStream(seed, 0xB007)
    median = Self.median(values)
    let medians = (0..<Self.resampleCount).map { _ in
      Self.median(values.map { _ in values[Int.random(in: values.indices, using: &random)] })
    }.sorted()
    low = medians[Self.resampleCount / 40]
    high = medians[Self.resampleCount - 1 - Self.resampleCount / 40]
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// Whether the same thing measured twice came out the same, narrowly enough to tell anything else.
  var isGoodControl: Bool { low <= 1 && high >= 1 && low >= 0.95 && high <= 1.05 }
}
