/// A median, or something else that is made of a sample, and where it lies with 95 % confidence, by the
/// bootstrap.
struct Interval {
  let median: Double
  let low: Double
  let high: Double

  private static let resampleCount = 4000

  /// - Precondition: There is at least one value.
  init(_ values: [Double], seed: Int) {
    self.init(count: values.count, seed: seed) { sample in Self.median(sample.map { values[$0] }) }
  }

  /// - Parameters:
  ///   - count: How many things were measured.
  ///   - seed: Of the resampling.
  ///   - estimate: What is made of some of them, of which a resample has some more than once.
  /// - Precondition: There is at least one.
  init(count: Int, seed: Int, _ estimate: ([Int]) -> Double) {
    var random = RandomStream(seed, 0xB007)
    median = estimate(Array(0..<count))
    let estimates = (0..<Self.resampleCount).map { _ in
      estimate((0..<count).map { _ in Int.random(in: 0..<count, using: &random) })
    }.sorted()
    low = estimates[Self.resampleCount / 40]
    high = estimates[Self.resampleCount - 1 - Self.resampleCount / 40]
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// For people: rounded.
  var text: String {
    "\(Benchmark.rounded(median)) (\(Benchmark.rounded(low))…\(Benchmark.rounded(high)))"
  }

  /// Whether the same thing measured twice came out the same, narrowly enough to tell anything else.
  var isGoodControl: Bool { low <= 1 && high >= 1 && low >= 0.95 && high <= 1.05 }
}
