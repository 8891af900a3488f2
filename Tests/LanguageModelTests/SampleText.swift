import LanguageModel

/// Texts and small models that several suites use.
enum SampleText {
  /// A text with structure that is easy to learn.
  static let sentences: String = {
    var generator = RandomGenerator(seed: 7)
    let words = ["checkpoint", "commits", "recovers", "training", "always", "never", "safely"]
    return (0..<900).map { _ in words[generator.number(below: words.count)] }
      .joined(separator: " ")
  }()

  /// A model so small that a test can afford many steps.
  static func configuration(
    _ change: (inout TrainerConfiguration) -> Void = { _ in }
  ) throws -> TrainerConfiguration {
    try TrainerConfiguration {
      $0.batchSize = 4
      $0.blockSize = 21
      $0.layerCount = 2
      $0.headCount = 2
      $0.embeddingSize = 24
      $0.dropout = 0.1
      $0.warmupSteps = 5
      $0.maxSteps = 40
      change(&$0)
    }
  }

  static func trainer(
    _ change: (inout TrainerConfiguration) -> Void = { _ in }
  ) throws -> Trainer {
    try Trainer(configuration: configuration(change), corpus: Corpus(text: sentences))
  }
}
