/// Runs one window at a time through the model; owns all the memory that takes, so one per thread.
struct SequencePass {
  let configuration: TrainerConfiguration
  let weights: ModelTensors
  let activations: SequenceActivations
  let multiplier = MatrixMultiplier()

  init(_ configuration: TrainerConfiguration, weights: ModelTensors) {
    self.configuration = configuration
    self.weights = weights
    activations = SequenceActivations(
      configuration, vocabularyCount: weights.tokenEmbedding.rowCount)
  }

  /// The loss of a window, summed over its characters.
  ///
  /// - Parameters:
  ///   - window: `blockSize + 1` tokens; each but the last predicts the next.
  ///   - dropout: the masks; nil when evaluating.
  /// - Returns: the loss in nats.
  func loss(_ window: ArraySlice<UInt32>, dropout: Dropout?) -> Double {
    forward(window.dropLast().map(Int.init), dropout: dropout)
    return softmaxLoss(window.dropFirst().map(Int.init), gradientScale: 0)
  }

  /// As ``loss(_:dropout:)``; also sets `gradient` to the gradient of the loss times a factor.
  func lossAndGradient(
    _ window: ArraySlice<UInt32>, dropout: Dropout?, gradientScale: Float,
    into gradient: ModelTensors
  ) -> Double {
    let inputs = window.dropLast().map(Int.init)
    forward(inputs, dropout: dropout)
    let loss = softmaxLoss(window.dropFirst().map(Int.init), gradientScale: gradientScale)
    backward(inputs, dropout: dropout, into: gradient)
    return loss
  }

  /// The loss of the logits, which are replaced by their gradient.
  private func softmaxLoss(_ targets: [Int], gradientScale: Float) -> Double {
    let logits = activations.logits
    var total = 0.0
    for (row, target) in targets.enumerated() {
      for column in logits.columnCount..<Matrix.padded(logits.columnCount) {
        logits[row, column] = -.infinity
      }
      let targetLogit = logits[row, target]
      total += Double(SoftmaxRow(logits, row).normalise(scale: 1) - targetLogit)
      logits[row, target] -= 1
      for column in stride(from: 0, to: logits.columnCount, by: 8) {
        logits[vector: row, column] *= gradientScale
      }
    }
    return total
  }

  /// The activations or gradients of one head in a matrix of queries, keys and values.
  func head(_ index: Int, _ part: Int, of qkv: Matrix) -> Matrix {
    let size = configuration.embeddingSize / configuration.headCount
    let start = part * configuration.embeddingSize + index * size
    return qkv.columns(start..<start + size)
  }
}
