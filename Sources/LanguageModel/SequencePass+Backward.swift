extension SequencePass {
  /// Sets all gradients, from the gradient of the logits down to the embeddings.
  func backward(_ inputs: [Int], dropout: Dropout?, into gradient: ModelTensors) {
    let flow = activations.flow
    let logits = activations.logits
    multiplier.multiply(logits, weights.head, into: activations.narrow)
    // A tied head writes the gradient of the token embedding, to which the lookups add below.
    gradient.tokenEmbedding.fill(0)
    multiplier.multiply(logits.transposed, activations.outputNormed, into: gradient.head)
    flow.fill(0)
    LayerNorm.backward(
      activations.narrow, activations.output, statistics: activations.outputStatistics,
      weights.finalNorm, pairGradient: gradient.finalNorm, addingTo: flow)
    for index in activations.blocks.indices.reversed() {
      feedForwardBackward(index, dropout, into: gradient.blocks[index])
      attendBackward(index, dropout, into: gradient.blocks[index])
    }
    dropout?.apply(to: flow, site: 0)
    gradient.positionEmbedding.copy(flow)
    for (row, token) in inputs.enumerated() {
      gradient.tokenEmbedding.rows(token..<token + 1).add(flow.rows(row..<row + 1))
    }
  }

  /// The gradient of the feed-forward branch; its input's part is added to the residual stream's.
  private func feedForwardBackward(
    _ index: Int, _ dropout: Dropout?, into gradient: ModelTensors.Block
  ) {
    let block = activations.blocks[index]
    let weights = weights.blocks[index]
    activations.branch.copy(activations.flow)
    dropout?.apply(to: activations.branch, site: 2 * index + 2)
    linearBackward(
      activations.branch, input: block.activated, weights.contraction,
      gradient: gradient.contraction, into: activations.wide)
    activations.wide.multiplyElements(block.expanded)
    linearBackward(
      activations.wide, input: block.feedForwardNormed, weights.expansion,
      gradient: gradient.expansion, into: activations.narrow)
    LayerNorm.backward(
      activations.narrow, block.middle, statistics: block.feedForwardStatistics,
      weights.feedForwardNorm, pairGradient: gradient.feedForwardNorm, addingTo: activations.flow)
  }

  /// The gradient of the attention branch; its input's part is added to the residual stream's.
  private func attendBackward(
    _ index: Int, _ dropout: Dropout?, into gradient: ModelTensors.Block
  ) {
    let block = activations.blocks[index]
    let weights = weights.blocks[index]
    activations.branch.copy(activations.flow)
    dropout?.apply(to: activations.branch, site: 2 * index + 1)
    linearBackward(
      activations.branch, input: block.attended, weights.attentionProjection,
      gradient: gradient.attentionProjection, into: activations.narrow)
    let attention = Attention(multiplier: multiplier)
    for index in block.probabilities.indices {
      attention.backward(
        head(index, 0, of: activations.narrow), query: head(index, 0, of: block.qkv),
        key: head(index, 1, of: block.qkv), value: head(index, 2, of: block.qkv),
        probabilities: block.probabilities[index], scores: activations.scores,
        into: (
          head(index, 0, of: activations.wideQKV), head(index, 1, of: activations.wideQKV),
          head(index, 2, of: activations.wideQKV)
        ))
    }
    linearBackward(
      activations.wideQKV, input: block.attentionNormed, weights.qkv, gradient: gradient.qkv,
      into: activations.narrow)
    LayerNorm.backward(
      activations.narrow, block.input, statistics: block.attentionStatistics,
      weights.attentionNorm, pairGradient: gradient.attentionNorm, addingTo: activations.flow)
  }

  /// Sets the gradients of a linear layer's input, weight and bias, given that of its output.
  private func linearBackward(
    _ outputGradient: Matrix, input: Matrix, _ pair: ModelTensors.Pair,
    gradient: ModelTensors.Pair, into inputGradient: Matrix
  ) {
    multiplier.multiply(outputGradient, pair.weight, into: inputGradient)
    multiplier.multiply(outputGradient.transposed, input, into: gradient.weight)
    gradient.bias.setToSumOfRows(outputGradient)
  }
}
