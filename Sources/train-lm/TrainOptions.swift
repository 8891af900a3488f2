internal import CheckpointTraining
internal import CommandLineTool
internal import LanguageModel

/// What the command line asked for.
struct TrainOptions {
  var configuration = TrainerConfiguration()
  /// A text file, or a directory of `.md` and `.txt` files.
  var data = "docs"
  var outputDirectory = "runs/train-lm"
  var saveSteps = 100
  /// Nil keeps every checkpoint.
  var saveTotalLimit: Int?
  var resumeSource = ResumeSource.nothing
  var evalSteps = 200
  var loggingSteps = 20
  /// In seconds.
  var lockTimeout = 0.0

  /// The options by name.
  static let kinds: [String: OptionParser.Kind] = {
    var kinds: [String: OptionParser.Kind] = [
      "overwrite_output_dir": .flag, "untied_head": .flag,
      "resume_from_checkpoint": .optionalValue,
    ]
    for name in [
      "data", "output_dir", "max_steps", "save_steps", "save_total_limit", "seed", "batch_size",
      "gradient_accumulation_steps", "block_size", "n_layer", "n_head", "n_embd",
      "learning_rate", "min_learning_rate", "warmup_steps", "weight_decay", "dropout",
      "eval_steps", "logging_steps", "lock_timeout", "threads",
    ] { kinds[name] = .value }
    return kinds
  }()

  init(_ parser: OptionParser) throws(UsageError) {
    if let word = parser.positionals.first {
      throw UsageError("'\(word)' is no option: those begin with two hyphens.")
    }
    configuration = try Self.configuration(parser)
    data = parser.string("data") ?? data
    outputDirectory = parser.string("output_dir") ?? outputDirectory
    saveSteps = try parser.integer("save_steps", in: 1...Int.max) ?? saveSteps
    evalSteps = try parser.integer("eval_steps", in: 1...Int.max) ?? evalSteps
    loggingSteps = try parser.integer("logging_steps", in: 1...Int.max) ?? loggingSteps
    // As other trainers have it: nothing, zero and below keep every checkpoint.
    let limit = try parser.integer("save_total_limit", in: Int.min...Int.max) ?? 0
    saveTotalLimit = limit > 0 ? limit : nil
    lockTimeout = try parser.number("lock_timeout", as: Double.self, in: 0...1e9) ?? lockTimeout
    if parser.has("overwrite_output_dir") { resumeSource = .never }
    if parser.has("resume_from_checkpoint") {
      resumeSource = Self.source(parser.string("resume_from_checkpoint") ?? "latest")
    }
  }

  /// `latest`, `never`, a step if it is all digits, and a path otherwise.
  private static func source(_ text: String) -> ResumeSource {
    switch text {
    case "latest": .latest
    case "never": .never
    case _ where !text.isEmpty && text.utf8.allSatisfy { (48...57).contains($0) }:
      UInt64(text).map { .step($0) } ?? .path(text)
    default: .path(text)
    }
  }

  private static func configuration(
    _ parser: OptionParser
  ) throws(UsageError) -> TrainerConfiguration {
    var result = TrainerConfiguration()
    let sizes: [(String, WritableKeyPath<TrainerConfiguration, Int>)] = [
      ("max_steps", \.maxSteps), ("batch_size", \.batchSize),
      ("gradient_accumulation_steps", \.gradientAccumulationSteps), ("block_size", \.blockSize),
      ("n_layer", \.layerCount), ("n_head", \.headCount), ("n_embd", \.embeddingSize),
      ("warmup_steps", \.warmupSteps), ("threads", \.threads),
    ]
    for (name, property) in sizes {
      if let value = try parser.integer(name, in: 0...Int.max) { result[keyPath: property] = value }
    }
    let rates: [(String, WritableKeyPath<TrainerConfiguration, Float>)] = [
      ("learning_rate", \.learningRate), ("min_learning_rate", \.minimumLearningRate),
      ("weight_decay", \.weightDecay), ("dropout", \.dropout),
    ]
    for (name, property) in rates {
      if let value = try parser.number(name, as: Float.self) { result[keyPath: property] = value }
    }
    result.seed = try parser.integer("seed", in: 0...UInt64.max) ?? result.seed
    result.tiedHead = !parser.has("untied_head")
    if !parser.has("min_learning_rate") {
      result.minimumLearningRate = min(result.minimumLearningRate, result.learningRate)
    }
    do throws(TrainerConfigurationError) {
      try result.validate()
    } catch {
      throw UsageError(error.description)
    }
    return result
  }
}
