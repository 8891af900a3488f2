/// What is printed of arms that were measured in blocks.
struct BlockReport {
  /// An arm and the limit that it is compared with: the fastest of some others.
  struct Comparison {
    let arm: String
    let limit: String
    let others: [String]
  }

  let options: Options

  /// Measures arms in blocks, and shows what came of it.
  func measure(_ arms: [Arm]) throws {
    show(try blocks(of: arms), arms.map(\.name))
  }

  /// Measures arms in blocks; prints every sample for programs, and how many blocks there were for people.
  func blocks(of arms: [Arm]) throws -> Blocks {
    let blocks = try Blocks(arms, count: options.blockCount, seed: options.seed) { block, sample in
      guard options.printsJSON else { return }
      print(
        sample.json([
          ("event", .text("sample")), ("schema", .integer(1)), ("case", .text(options.command)),
          ("block", .integer(block)),
        ]).text)
    }
    guard !options.printsJSON else { return blocks }
    let repeated = blocks.repeatedCount
    print(
      "\(options.command), \(options.blockCount) blocks"
        + (repeated > 0 ? ", \(repeated) more were disturbed and measured again" : ""))
    return blocks
  }

  /// What is compared with what.
  ///
  /// Writes are limited by W, reads by K, cold ones by D, and what stays in memory by M.
  static func comparisons(of arms: [String]) -> [Comparison] {
    arms.compactMap { arm in
      if arm.hasSuffix("-again") { return nil }
      if arm.hasPrefix("save-") {
        return Comparison(arm: arm, limit: "W", others: ["write-64k", "write-8m", "write-direct"])
      }
      if arm.hasPrefix("encode") || arm.hasPrefix("decode") {
        return Comparison(arm: arm, limit: "M", others: ["copy"])
      }
      guard arm.hasPrefix("load-") || arm.hasPrefix("resume-") || arm.hasPrefix("verify-") else {
        return nil
      }
      return arm.hasSuffix("-cold")
        ? Comparison(arm: arm, limit: "D", others: ["read-cold"])
        : Comparison(arm: arm, limit: "K", others: ["read"])
    }
  }

  /// Prints the ratios, the control and, for people, medians.
  ///
  /// - Parameters:
  ///   - blocks: What was measured.
  ///   - arms: The names of the arms, in their order.
  private func show(_ blocks: Blocks, _ arms: [String]) {
    for comparison in Self.comparisons(of: arms) {
      let ratios = blocks.ratios(of: comparison.arm, to: comparison.others)
      show(comparison.arm, comparison.limit, Interval(ratios, seed: options.seed))
    }
    for arm in arms where arm.hasSuffix("-again") {
      let first = String(arm.dropLast("-again".count))
      let interval = Interval(blocks.ratios(of: arm, to: [first]), seed: options.seed)
      showControl(first, interval)
    }
    guard !options.printsJSON else { return }
    print("medians, for orientation only:")
    for arm in arms.sorted() {
      let seconds = Benchmark.rounded(blocks.median(of: arm, \.seconds))
      let cpu = Benchmark.rounded(blocks.median(of: arm, \.cpuSeconds))
      let rate = Int(blocks.median(of: arm, \.rate) / 1e6)
      let extra = Int(blocks.median(of: arm) { Double($0.extraByteCount) }) >> 20
      print(
        "  \(Self.padded(arm)) \(seconds) s, CPU \(cpu) s, \(rate) MB/s, extra memory \(extra) MiB")
    }
  }

  private func show(_ arm: String, _ limit: String, _ interval: Interval) {
    guard options.printsJSON else {
      print("  \(Self.padded(arm)) \(interval.text) of \(limit)")
      return
    }
    print(
      JSONLine([
        ("event", .text("ratio")), ("schema", .integer(1)), ("case", .text(options.command)),
        ("arm", .text(arm)), ("limit", .text(limit)), ("median", .number(interval.median)),
        ("low", .number(interval.low)), ("high", .number(interval.high)),
        ("blocks", .integer(options.blockCount)),
      ]).text)
  }

  private func showControl(_ arm: String, _ interval: Interval) {
    guard options.printsJSON else {
      let verdict =
        interval.isGoodControl
        ? "good" : "NOT within 0.95…1.05 around 1: this run tells little, measure again"
      print("  control: \(arm) measured twice, \(interval.text), \(verdict)")
      return
    }
    print(
      JSONLine([
        ("event", .text("control")), ("schema", .integer(1)), ("case", .text(options.command)),
        ("arm", .text(arm)), ("median", .number(interval.median)), ("low", .number(interval.low)),
        ("high", .number(interval.high)), ("good", .truth(interval.isGoodControl)),
      ]).text)
  }

  static func padded(_ text: String, to width: Int = 24) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
