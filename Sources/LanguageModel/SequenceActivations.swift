/// The activations of one window, kept from the forward to the backward pass.
struct SequenceActivations {
  /// The activations of one transformer block.
  struct Block {
    /// The residual stream before the block and between its two branches.
    let input, middle: Matrix
    let attentionNormed, attentionStatistics: Matrix
    let qkv: Matrix
    /// The attention weights, one square per head.
    let probabilities: [Matrix]
    let attended: Matrix
    let feedForwardNormed, feedForwardStatistics: Matrix
    /// Before the non-linearity; then, in its place, the slope of the non-linearity.
    let expanded: Matrix
    let activated: Matrix

    init(_ configuration: TrainerConfiguration) {
      let length = configuration.blockSize
      let width = configuration.embeddingSize
      input = Matrix(rows: length, columns: width)
      middle = Matrix(rows: length, columns: width)
      attentionNormed = Matrix(rows: length, columns: width)
      attentionStatistics = Matrix(rows: length, columns: 2)
      qkv = Matrix(rows: length, columns: 3 * width)
      probabilities = (0..<configuration.headCount).map { _ in
        Matrix(rows: length, columns: length)
      }
      attended = Matrix(rows: length, columns: width)
      feedForwardNormed = Matrix(rows: length, columns: width)
      feedForwardStatistics = Matrix(rows: length, columns: 2)
      expanded = Matrix(rows: length, columns: 4 * width)
      activated = Matrix(rows: length, columns: 4 * width)
    }
  }

  let blocks: [Block]
  /// The residual stream after the last block.
  let output: Matrix
  let outputNormed, outputStatistics: Matrix
  /// The logits; then, in their place, the gradient of the loss with respect to them.
  let logits: Matrix
  /// The gradient of the residual stream, and of a branch's output, inputs and inner width.
  let flow, branch, narrow, wideQKV, wide: Matrix
  /// The gradient of one head's attention weights.
  let scores: Matrix

  init(_ configuration: TrainerConfiguration, vocabularyCount: Int) {
    let length = configuration.blockSize
    let width = configuration.embeddingSize
    blocks = (0..<configuration.layerCount).map { _ in Block(configuration) }
    output = Matrix(rows: length, columns: width)
    outputNormed = Matrix(rows: length, columns: width)
    outputStatistics = Matrix(rows: length, columns: 2)
    logits = Matrix(rows: length, columns: vocabularyCount)
    flow = Matrix(rows: length, columns: width)
    branch = Matrix(rows: length, columns: width)
    narrow = Matrix(rows: length, columns: width)
    wideQKV = Matrix(rows: length, columns: 3 * width)
    wide = Matrix(rows: length, columns: 4 * width)
    scores = Matrix(rows: length, columns: length)
  }
}
