/// The hyper-parameters of a training run.
package struct TrainerConfiguration: Equatable, Sendable {
  /// Chooses the initial parameters, the order of the batches, and the dropout masks.
  package var seed: UInt64 = 1
  /// The number of windows in a micro-batch.
  package var batchSize = 16
  /// The number of micro-batches in one optimizer step.
  package var gradientAccumulationSteps = 1
  /// The number of characters a window predicts.
  package var blockSize = 64
  /// The number of transformer blocks.
  package var layerCount = 3
  /// The number of attention heads.
  package var headCount = 4
  /// The width of the model; a multiple of 8 and of ``headCount``.
  package var embeddingSize = 64
  /// The learning rate after the warm-up.
  package var learningRate: Float = 5e-3
  /// The learning rate at the last step of the schedule.
  package var minimumLearningRate: Float = 2e-4
  /// The number of steps over which the learning rate rises from zero.
  package var warmupSteps = 100
  /// The number of optimizer steps of the whole run.
  package var maxSteps = 2000
  /// The step at which the learning rate has come to its minimum; nil stands for ``maxSteps``.
  package var scheduleSteps: Int?
  /// The share of activations that training sets to zero.
  package var dropout: Float = 0.05
  /// The decay of matrices, per unit of learning rate.
  package var weightDecay: Float = 0.1
  /// The decay of the running mean of gradients.
  package var beta1: Float = 0.9
  /// The decay of the running mean of squared gradients.
  package var beta2: Float = 0.99
  /// Keeps the update finite where gradients vanish.
  package var epsilon: Float = 1e-8
  /// The largest norm of a gradient; a longer one is scaled down.
  package var gradientClip: Float = 1
  /// Whether the output head shares the token embedding.
  package var tiedHead = true
  /// The number of threads; has no effect on any result.
  package var threads = 2

  /// The defaults.
  package init() {}

  /// The defaults, changed by `change`, checked.
  ///
  /// - Parameter change: sets the properties that differ.
  /// - Throws: `TrainerConfigurationError` naming the first property that cannot work.
  package init(
    _ change: (inout TrainerConfiguration) -> Void
  ) throws(TrainerConfigurationError) {
    change(&self)
    try validate()
  }

  /// Checks every property.
  ///
  /// - Throws: `TrainerConfigurationError` naming the first property that cannot work.
  package func validate() throws(TrainerConfigurationError) {
    // Far beyond what this program is for; larger numbers would only exhaust the memory.
    for (property, value, limit) in [
      ("batch_size", batchSize, 4096),
      ("gradient_accumulation_steps", gradientAccumulationSteps, 1 << 24),
      ("block_size", blockSize, 8192), ("n_layer", layerCount, 256), ("n_head", headCount, 256),
      ("n_embd", embeddingSize, 4096), ("max_steps", maxSteps, 1 << 40),
      ("schedule_steps", scheduleSteps ?? maxSteps, 1 << 40),
    ] {
      try require(value >= 1 && value <= limit, property, "from 1 to \(limit)", value)
    }
    try require(
      embeddingSize % 8 == 0 && embeddingSize % headCount == 0, "n_embd",
      "a multiple of 8 and of n_head (\(headCount))", embeddingSize)
    try require((1...256).contains(threads), "threads", "from 1 to 256", threads)
    try require(warmupSteps >= 0, "warmup_steps", "0 or more", warmupSteps)
    try require(
      learningRate > 0 && learningRate.isFinite, "learning_rate", "positive and finite",
      learningRate)
    try require(
      minimumLearningRate >= 0 && minimumLearningRate <= learningRate, "min_learning_rate",
      "from 0 to learning_rate (\(learningRate))", minimumLearningRate)
    for (property, value) in [("dropout", dropout), ("beta1", beta1), ("beta2", beta2)] {
      try require(value >= 0 && value < 1, property, "at least 0 and below 1", value)
    }
    try require(
      weightDecay >= 0 && weightDecay.isFinite, "weight_decay", "0 or more and finite", weightDecay)
    for (property, value) in [("epsilon", epsilon), ("max_grad_norm", gradientClip)] {
      try require(value > 0 && value.isFinite, property, "positive and finite", value)
    }
  }

  private func require(
    _ isMet: Bool, _ property: String, _ requirement: String, _ value: some CustomStringConvertible
  ) throws(TrainerConfigurationError) {
    guard isMet else {
      throw TrainerConfigurationError(
        property: property, requirement: requirement, value: value.description)
    }
  }
}

extension TrainerConfiguration: Codable {
  // What decides the trajectory, by the names of train-lm's flags. The number of threads decides
  // nothing and is left out, so that a run on other hardware has the same state; so is the number of
  // steps, so that a run that is extended has it.
  enum CodingKeys: String, CodingKey {
    case seed, dropout, beta1, beta2, epsilon
    case batchSize = "batch_size"
    case gradientAccumulationSteps = "gradient_accumulation_steps"
    case blockSize = "block_size"
    case layerCount = "n_layer"
    case headCount = "n_head"
    case embeddingSize = "n_embd"
    case learningRate = "learning_rate"
    case minimumLearningRate = "min_learning_rate"
    case warmupSteps = "warmup_steps"
    case scheduleSteps = "schedule_steps"
    case weightDecay = "weight_decay"
    case gradientClip = "max_grad_norm"
    case tiedHead = "tied_head"
  }
}
