/// Trains a language model on a corpus.
///
/// The stored properties that `package` code can set are the whole training state: putting them
/// back into a trainer made with the same configuration and corpus continues bit for bit.
package final class Trainer {
  /// The hyper-parameters.
  package private(set) var configuration: TrainerConfiguration
  /// The text.
  package let corpus: Corpus
  /// A digest of the text and of the order in which this configuration reads it.
  package let dataFingerprint: String
  /// The number of completed optimizer steps.
  package var step = 0
  /// The parameters, in a fixed order.
  package var parameters: [Parameter]
  /// The running mean of the gradient of each parameter.
  package var firstMoments: [[Float]]
  /// The running mean of the squared gradient of each parameter.
  package var secondMoments: [[Float]]
  /// Hands out the training windows; knows which were consumed.
  package var sampler: BatchSampler
  /// Drawn from once per micro-batch, for the dropout masks.
  package var generator: RandomGenerator
  /// The running mean of the training loss; zero before the first step.
  package var smoothedLoss: Float = 0

  /// Whether the schedule of the learning rate is that of the checkpoint that is restored: an extended
  /// run goes on along the same curve.
  private let adoptsSchedule: Bool
  private let engine: GradientEngine

  /// Makes a trainer with freshly drawn parameters.
  ///
  /// - Parameters:
  ///   - configuration: the hyper-parameters, valid.
  ///   - corpus: the text; both its parts longer than a block.
  /// - Throws: `CorpusError.tooShort` if the text is too short for the block size.
  package init(configuration: TrainerConfiguration, corpus: Corpus) throws(CorpusError) {
    // The held-out tenth is the shorter part and has to hold a window and its last target.
    guard corpus.heldOut.count > configuration.blockSize else {
      throw .tooShort(
        characterCount: corpus.tokens.count, needed: 10 * (configuration.blockSize + 1))
    }
    self.configuration = configuration
    self.configuration.scheduleSteps = configuration.scheduleSteps ?? configuration.maxSteps
    adoptsSchedule = configuration.scheduleSteps == nil
    self.corpus = corpus
    dataFingerprint = corpus.fingerprint(
      order: "windows of \(configuration.blockSize), seed \(configuration.seed)")
    engine = GradientEngine(configuration, vocabularyCount: corpus.vocabulary.count)
    var initialValues = RandomGenerator(seed: configuration.seed, stream: 0)
    parameters = engine.layout.initialParameters(&initialValues)
    let zeros = parameters.map { [Float](repeating: 0, count: $0.values.count) }
    firstMoments = zeros
    secondMoments = zeros
    sampler = BatchSampler(
      tokenCount: corpus.trainingCount, windowLength: configuration.blockSize,
      seed: configuration.seed)
    generator = RandomGenerator(seed: configuration.seed, stream: 2)
  }

  /// Takes the schedule from a checkpoint, unless another one was asked for.
  func adoptSchedule(of saved: TrainerConfiguration) {
    if adoptsSchedule { configuration.scheduleSteps = saved.scheduleSteps }
  }

  /// Performs one optimizer step.
  ///
  /// - Returns: the mean loss of the step's batch in nats per character, before the update, and
  ///   the learning rate of the update.
  package func trainStep() -> (loss: Float, learningRate: Float) {
    let (meanLoss, gradients) = nextGradients()
    let loss = Float(meanLoss)
    step += 1
    let update = AdamW(configuration, step: step, gradients: gradients)
    for index in parameters.indices {
      update.update(
        &parameters[index], gradient: gradients[index], first: &firstMoments[index],
        second: &secondMoments[index])
    }
    smoothedLoss = step == 1 ? loss : smoothedLoss * 0.98 + loss * 0.02
    return (loss, configuration.learningRate(at: step))
  }

  /// The mean loss on held-out windows, without dropout; changes no state.
  ///
  /// - Parameter batches: how many batches of windows, spread evenly over the held-out text; nil
  ///   stands for all of it.
  /// - Returns: the loss in nats per character.
  package func evaluate(batches: Int? = nil) -> Float {
    let text = corpus.heldOut
    let length = configuration.blockSize
    let available = (text.count - 1) / length
    let wanted = min(batches ?? available, available) * configuration.batchSize
    let count = max(1, min(available, wanted))
    let windows = (0..<count).map { index in
      let start = text.startIndex + index * available / count * length
      return text[start...start + length]
    }
    engine.setParameters(parameters)
    let losses = engine.losses(windows)
    return Float(losses.reduce(0, +) / Double(count * length))
  }

  /// The mean loss of the next step's batch, and its gradient, one array per parameter.
  ///
  /// Consumes the batch, but updates no parameter.
  package func nextGradients() -> (loss: Double, gradients: [[Float]]) {
    let loss = accumulateGradients()
    return (loss, engine.gradients)
  }

  /// Consumes the batch of a step and accumulates its gradient.
  private func accumulateGradients() -> Double {
    engine.setParameters(parameters)
    let parts = configuration.gradientAccumulationSteps
    var loss = 0.0
    for part in 0..<parts {
      let windows = sampler.next(configuration.batchSize).map { start in
        corpus.tokens[start...start + configuration.blockSize]
      }
      loss += engine.accumulate(
        windows, dropoutKey: generator.next(), isFirst: part == 0, parts: parts)
    }
    return loss / Double(parts)
  }
}
