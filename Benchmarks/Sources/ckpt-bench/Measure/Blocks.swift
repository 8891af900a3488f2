/// Arms measured in blocks, in each of which every arm has its turn.
///
/// A machine that others use is slower now and faster then, by more than what is to be measured. Within a
/// block it is much the same for all; and a random order keeps an arm from always following the same one.
struct Blocks {
  private(set) var blocks: [[String: Sample]] = []
  /// Blocks that were measured again because other guests took time from some of its arms.
  private(set) var repeatedCount = 0

  /// - Parameters:
  ///   - arms: What is measured.
  ///   - count: How many blocks; one more comes before them and does not count.
  ///   - seed: Of the order.
  ///   - observe: Is told each sample that counts, with the number of its block.
  /// - Throws: What an arm throws.
  init(_ arms: [Arm], count: Int, seed: Int, observe: (Int, Sample) -> Void) throws {
    var random = RandomStream(seed, 0xB10C)
    _ = try Self.block(arms, &random)
    while blocks.count < count {
      let samples = try Self.block(arms, &random)
      // Half as many again at most: a machine that is never calm is measured as it is.
      if Self.isDisturbed(samples), repeatedCount < (count + 1) / 2 {
        repeatedCount += 1
        continue
      }
      for sample in samples { observe(blocks.count, sample) }
      blocks.append(Dictionary(uniqueKeysWithValues: samples.map { ($0.arm, $0) }))
    }
  }

  private static func block(_ arms: [Arm], _ random: inout RandomStream) throws -> [Sample] {
    try arms.shuffled(using: &random).map { try $0.measured() }
  }

  private static func isDisturbed(_ samples: [Sample]) -> Bool {
    let stolen = samples.map(\.stolenSeconds)
    let seconds = samples.reduce(0) { $0 + $1.seconds }
    // Of the whole block: the system counts in hundredths of a second, as long as some arms take.
    return (stolen.max() ?? 0) - (stolen.min() ?? 0) > 0.02 * seconds
  }

  /// How fast an arm is, in each block, beside the fastest of others.
  func ratios(of arm: String, to others: [String]) -> [Double] {
    blocks.compactMap { block in
      guard let rate = block[arm]?.rate, let limit = others.compactMap({ block[$0]?.rate }).max()
      else { return nil }
      return rate / limit
    }
  }

  /// The median of something over the samples of an arm.
  func median(of arm: String, _ value: (Sample) -> Double) -> Double {
    Interval.median(blocks.compactMap { $0[arm].map(value) })
  }
}
