#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What is printed of arms that were measured at several sizes.
struct SlopeReport {
  private static let goal = 0.95...1.05
  /// The medians of fewer do not lie between their ends with 95 % confidence, whatever the bootstrap says.
  private static let blockCountMin = 6

  /// An arm at one size.
  struct Point {
    /// What is done at every size.
    let name: String
    /// Of the state, as it was asked for.
    let mebibytes: Int
    /// Of the state, as it is.
    let byteCount: Int
    /// What it is called among the blocks.
    let arm: String
  }

  let options: Options
  let blocks: Blocks
  let points: [Point]

  /// Prints the slopes and, for people, medians.
  func show() {
    var names: [String] = []
    for point in points where !names.contains(point.name) { names.append(point.name) }
    for name in names { showSlope(name, points.filter { $0.name == name }) }
    guard !options.printsJSON else { return }
    showMedians(names)
  }

  private func showSlope(_ name: String, _ points: [Point]) {
    guard points.count > 1 else {
      Benchmark.note("\(name) has no slope: it was measured at one size")
      return
    }
    let slope = Interval(count: blocks.blocks.count, seed: options.seed, estimate(points))
    guard options.printsJSON else {
      print("  \(BlockReport.padded(name)) slope \(slope.text), goal \(verdict(slope))")
      return
    }
    print(
      JSONLine([
        ("event", .text("slope")), ("schema", .integer(1)), ("case", .text(options.command)),
        ("arm", .text(name)), ("median", .number(slope.median)), ("low", .number(slope.low)),
        ("high", .number(slope.high)), ("sizes", .integers(points.map(\.byteCount))),
        ("blocks", .integer(options.blockCount)),
      ]).text)
  }

  /// The slope of the logarithm of the median time on that of the size, by least squares, in some blocks.
  private func estimate(_ points: [Point]) -> ([Int]) -> Double {
    let sizes = points.map { log(Double($0.byteCount)) }
    let seconds = points.map { point in blocks.blocks.map { $0[point.arm]?.seconds ?? .nan } }
    return { numbers in
      let times = seconds.map { ofSize in log(Interval.median(numbers.map { ofSize[$0] })) }
      return Self.slope(of: times, on: sizes)
    }
  }

  private static func slope(of y: [Double], on x: [Double]) -> Double {
    let (meanX, meanY) = (x.reduce(0, +) / Double(x.count), y.reduce(0, +) / Double(y.count))
    let products = zip(x, y).reduce(0) { $0 + ($1.0 - meanX) * ($1.1 - meanY) }
    return products / x.reduce(0) { $0 + ($1 - meanX) * ($1 - meanX) }
  }

  private func verdict(_ slope: Interval) -> String {
    let goal = Self.goal
    let reach =
      if blocks.blocks.count < Self.blockCountMin {
        "too few blocks to tell"
      } else if goal.contains(slope.low), goal.contains(slope.high) {
        "met"
      } else if goal.contains(slope.median) {
        "reached by the estimate only"
      } else {
        "missed"
      }
    return "\(goal.lowerBound)…\(goal.upperBound): \(reach)"
  }

  private func showMedians(_ names: [String]) {
    print("median seconds and MB of the state a second, for orientation only:")
    let sizes = Set(points.map(\.mebibytes)).sorted()
    print(Self.row("", sizes.map { "\($0) MiB" }))
    for name in names {
      let cells = sizes.map { size in
        guard let point = points.first(where: { $0.name == name && $0.mebibytes == size }) else {
          return "–"
        }
        let seconds = blocks.median(of: point.arm, \.seconds)
        return "\(Benchmark.rounded(seconds)), \(Int(Double(point.byteCount) / seconds / 1e6))"
      }
      print(Self.row(name, cells))
    }
  }

  private static func row(_ name: String, _ cells: [String]) -> String {
    "  " + BlockReport.padded(name)
      + cells.map { " " + BlockReport.padded($0, to: 13) }.joined()
  }
}
