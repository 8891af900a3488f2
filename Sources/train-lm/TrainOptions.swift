internal import CheckpointTraining
internal import CommandLineTool
internal import LanguageModel

/// What the command line asked for.
struct TrainOptions {
  var configuration = TrainerConfiguration()
  /// A text file, or a directory of `.md` and `.txt` files.
  var data = "docs"
  var outputDirectory = "runs/train-lm"
  var saving = SavePolicy.every(steps: 100)
  var saveMode = SaveMode.blocking
  var keeping = RetentionPolicy.all
  var stopping = StopPolicy.never
  /// What makes a checkpoint the best.
  var metricForBest = "eval_loss"
  var bestDirection = MetricDirection.lowest
  var loadsBestAtEnd = false
  var health = HealthPolicy.none
  var space = SpacePolicy()
  var onSaveFailure = SaveFailurePolicy.report
  var resumeSource = ResumeSource.nothing
  /// Where a run that begins afresh takes the model from.
  var initialCheckpoint: String?
  var damaged = DamagedPolicy.leave
  /// How far a held-out loss that is measured again may lie from the one that was saved; nil if it is not
  /// measured again.
  var validationTolerance: Double?
  var resumeCheck = ResumeCheck.warn
  /// Whether to tell what a resume would meet, and do nothing.
  var isDryRun = false
  /// What was asked for that decides nothing of the training, by option.
  private(set) var habits: [(name: String, value: String)] = []
  var evalSteps = 200
  var loggingSteps = 20
  /// In seconds.
  var lockTimeout = 0.0

  /// The options by name.
  static let kinds: [String: OptionParser.Kind] = {
    var kinds: [String: OptionParser.Kind] = [
      "overwrite_output_dir": .flag, "untied_head": .flag, "load_best_model_at_end": .flag,
      "save_on_preemption": .flag, "health_check": .flag, "set_aside_damaged": .flag,
      "async_save": .optionalValue, "validate_resume": .optionalValue,
      "resume_from_checkpoint": .optionalValue, "greater_is_better": .optionalValue,
    ]
    for name in [
      "data", "output_dir", "max_steps", "save_strategy", "save_steps", "save_total_limit",
      "save_overhead_budget", "metric_for_best_model", "max_minutes", "resume_check", "seed",
      "batch_size", "gradient_accumulation_steps", "block_size", "n_layer", "n_head", "n_embd",
      "learning_rate", "min_learning_rate", "warmup_steps", "schedule_steps", "weight_decay",
      "dropout", "eval_steps", "logging_steps", "lock_timeout", "threads", "init_from",
      "save_byte_budget", "on_full_disk", "space_check",
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
    evalSteps = try parser.integer("eval_steps", in: 1...Int.max) ?? evalSteps
    loggingSteps = try parser.integer("logging_steps", in: 1...Int.max) ?? loggingSteps
    lockTimeout = try parser.number("lock_timeout", as: Double.self, in: 0...1e9) ?? lockTimeout
    try readBest(parser)
    saving = try savePolicy(parser)
    saveMode = try Self.saveMode(parser)
    keeping = try retentionPolicy(parser)
    stopping = try Self.stopPolicy(parser)
    try readResumeCheck(parser)
    try readSafety(parser)
    habits = Self.habitNames.map { name in
      (name, parser.string(name) ?? (parser.has(name) ? "yes" : "default"))
    }
    if parser.has("overwrite_output_dir") { resumeSource = .never }
    if parser.has("resume_from_checkpoint") {
      resumeSource = source(parser.string("resume_from_checkpoint") ?? "latest")
    }
  }

  private static let habitNames = [
    "save_strategy", "save_steps", "save_total_limit", "save_overhead_budget", "async_save",
    "metric_for_best_model", "greater_is_better", "load_best_model_at_end", "save_on_preemption",
    "max_minutes", "max_steps", "eval_steps", "logging_steps", "health_check", "save_byte_budget",
    "on_full_disk", "space_check",
  ]

  private mutating func readResumeCheck(_ parser: OptionParser) throws(UsageError) {
    switch parser.string("resume_check") ?? "warn" {
    case "strict": resumeCheck = .strict
    case "warn": resumeCheck = .warn
    case "dry-run", "dry_run": isDryRun = true
    case let word:
      throw UsageError("--resume_check is strict, warn or dry-run, not '\(word)'.")
    }
  }

  private mutating func readBest(_ parser: OptionParser) throws(UsageError) {
    metricForBest = parser.string("metric_for_best_model") ?? metricForBest
    guard ["loss", "eval_loss"].contains(metricForBest) else {
      throw UsageError("'\(metricForBest)' is not measured; eval_loss and loss are.")
    }
    if parser.has("greater_is_better") {
      switch parser.string("greater_is_better") ?? "true" {
      case "true", "True", "1": bestDirection = .highest
      case "false", "False", "0": bestDirection = .lowest
      case let word: throw UsageError("--greater_is_better is true or false, not '\(word)'.")
      }
    }
    loadsBestAtEnd = parser.has("load_best_model_at_end")
  }

  private func savePolicy(_ parser: OptionParser) throws(UsageError) -> SavePolicy {
    let steps = try parser.integer("save_steps", in: 1...Int.max)
    if let share = try parser.number("save_overhead_budget", as: Double.self, in: 1e-6...0.9) {
      guard steps == nil, !parser.has("save_strategy") else {
        throw UsageError(
          "--save_overhead_budget decides when to save: leave --save_steps and --save_strategy out."
        )
      }
      return .overhead(atMost: share)
    }
    switch parser.string("save_strategy") ?? "steps" {
    case "steps": return .every(steps: steps ?? 100)
    case "epoch": return .every(epochs: 1)
    case "best": return .onImprovement(of: metricForBest, bestDirection)
    case "no": return .manual
    case let word:
      throw UsageError("--save_strategy is steps, epoch, best or no, not '\(word)'.")
    }
  }

  private static func saveMode(_ parser: OptionParser) throws(UsageError) -> SaveMode {
    guard parser.has("async_save") else { return .blocking }
    switch parser.string("async_save") ?? "wait" {
    case "wait": return .background(whenBusy: .wait)
    case "skip": return .background(whenBusy: .skip)
    case "postpone": return .background(whenBusy: .postpone)
    case let word: throw UsageError("--async_save is wait, skip or postpone, not '\(word)'.")
    }
  }

  private func retentionPolicy(_ parser: OptionParser) throws(UsageError) -> RetentionPolicy {
    // As other trainers have it: nothing, zero and below keep every checkpoint.
    let limit = try parser.integer("save_total_limit", in: Int.min...Int.max) ?? 0
    var policy = limit > 0 ? RetentionPolicy.last(limit) : .all
    // The best is not among the newest for long.
    if loadsBestAtEnd || parser.string("save_strategy") == "best" {
      policy = policy + .best(1, of: metricForBest, bestDirection)
    }
    guard let budget = try parser.byteCount("save_byte_budget") else { return policy }
    guard budget > 0 else { throw UsageError("--save_byte_budget: nothing fits into 0 bytes.") }
    return policy.withinBudget(ofBytes: budget)
  }

  private static func stopPolicy(_ parser: OptionParser) throws(UsageError) -> StopPolicy {
    let minutes = try parser.number("max_minutes", as: Double.self, in: 0...1e6)
    return StopPolicy(
      on: parser.has("save_on_preemption") ? [.terminate, .interrupt, .user1] : [],
      after: minutes.map { .seconds($0 * 60) })
  }

  /// `latest`, `healthy`, `best`, `never`, a step if it is all digits, and a path otherwise.
  private func source(_ text: String) -> ResumeSource {
    switch text {
    case "latest": .latest
    case "healthy": .latestHealthy
    case "best": .best(of: metricForBest, bestDirection)
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
    result.scheduleSteps = try parser.integer("schedule_steps", in: 1...Int.max)
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
