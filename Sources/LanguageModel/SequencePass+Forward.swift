extension SequencePass {
  /// Computes all activations up to the logits.
  func forward(_ inputs: [Int], dropout: Dropout?) {
    let first = activations.blocks[0].input
    for (row, token) in inputs.enumerated() {
      let target = first.rows(row..<row + 1)
      target.copy(weights.tokenEmbedding.rows(token..<token + 1))
      target.add(weights.positionEmbedding.rows(row..<row + 1))
    }
    dropout?.apply(to: first, site: 0)
    for (index, block) in activations.blocks.enumerated() {
      let isLast = index + 1 == activations.blocks.count
      let output = isLast ? activations.output : activations.blocks[index + 1].input
      attend(block, weights.blocks[index])
      dropout?.apply(to: block.middle, site: 2 * index + 1)
      block.middle.add(block.input)
      feedForward(block, weights.blocks[index], into: output)
      dropout?.apply(to: output, site: 2 * index + 2)
      output.add(block.middle)
    }
    LayerNorm.forward(
      activations.output, weights.finalNorm, into: activations.outputNormed,
      statistics: activations.outputStatistics)
    multiplier.multiply(
      activations.outputNormed, weights.head.transposed, into: activations.logits)
  }

  /// The attention branch of a block, into the middle of its residual stream.
  private func attend(_ block: SequenceActivations.Block, _ weights: ModelTensors.Block) {
    LayerNorm.forward(
      block.input, weights.attentionNorm, into: block.attentionNormed,
      statistics: block.attentionStatistics)
    linear(block.attentionNormed, weights.qkv, into: block.qkv)
    let attention = Attention(multiplier: multiplier)
    for index in block.probabilities.indices {
      attention.forward(
        query: head(index, 0, of: block.qkv), key: head(index, 1, of: block.qkv),
        value: head(index, 2, of: block.qkv), probabilities: block.probabilities[index],
        into: head(index, 0, of: block.attended))
    }
    linear(block.attended, weights.attentionProjection, into: block.middle)
  }

  /// The feed-forward branch of a block.
  private func feedForward(
    _ block: SequenceActivations.Block, _ weights: ModelTensors.Block, into output: Matrix
  ) {
    LayerNorm.forward(
      block.middle, weights.feedForwardNorm, into: block.feedForwardNormed,
      statistics: block.feedForwardStatistics)
    linear(block.feedForwardNormed, weights.expansion, into: block.expanded)
    block.expanded.applyGELU(into: block.activated)
    linear(block.activated, weights.contraction, into: output)
  }

  private func linear(_ x: Matrix, _ pair: ModelTensors.Pair, into out: Matrix) {
    multiplier.multiply(x, pair.weight.transposed, into: out)
    out.addToEachRow(pair.bias)
  }
}
