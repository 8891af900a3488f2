/// Layer normalisation of each row, and its gradient.
enum LayerNorm {
  private static let epsilon: Float = 1e-5

  /// Normalises each row of `x`; keeps mean and reciprocal deviation in `statistics`.
  static func forward(
    _ x: Matrix, _ pair: ModelTensors.Pair, into out: Matrix, statistics: Matrix
  ) {
    let width = Float(x.columnCount)
    for row in 0..<x.rowCount {
      var total = SIMD8<Float>.zero
      for column in stride(from: 0, to: x.columnCount, by: 8) { total += x[vector: row, column] }
      let mean = ExactMath.sum(total) / width
      var squares = SIMD8<Float>.zero
      for column in stride(from: 0, to: x.columnCount, by: 8) {
        let centred = x[vector: row, column] - mean
        squares += centred * centred
      }
      let scale = 1 / (ExactMath.sum(squares) / width + epsilon).squareRoot()
      statistics[row, 0] = mean
      statistics[row, 1] = scale
      for column in stride(from: 0, to: x.columnCount, by: 8) {
        let normal = (x[vector: row, column] - mean) * scale
        out[vector: row, column] =
          normal * pair.weight[vector: 0, column] + pair.bias[vector: 0, column]
      }
    }
  }

  /// Adds the gradient with respect to `x` to `flow`, and sets the gradient of the parameters.
  static func backward(
    _ gradient: Matrix, _ x: Matrix, statistics: Matrix, _ pair: ModelTensors.Pair,
    pairGradient: ModelTensors.Pair, addingTo flow: Matrix
  ) {
    let width = Float(x.columnCount)
    pairGradient.weight.fill(0)
    pairGradient.bias.fill(0)
    for row in 0..<x.rowCount {
      let mean = statistics[row, 0]
      let scale = statistics[row, 1]
      var total = SIMD8<Float>.zero
      var correlation = SIMD8<Float>.zero
      for column in stride(from: 0, to: x.columnCount, by: 8) {
        let normal = (x[vector: row, column] - mean) * scale
        let incoming = gradient[vector: row, column]
        pairGradient.weight[vector: 0, column] += incoming * normal
        pairGradient.bias[vector: 0, column] += incoming
        let weighted = incoming * pair.weight[vector: 0, column]
        total += weighted
        correlation += weighted * normal
      }
      let meanOfGradient = ExactMath.sum(total) / width
      let meanOfCorrelation = ExactMath.sum(correlation) / width
      for column in stride(from: 0, to: x.columnCount, by: 8) {
        let normal = (x[vector: row, column] - mean) * scale
        let weighted = gradient[vector: row, column] * pair.weight[vector: 0, column]
        flow[vector: row, column] +=
          (weighted - meanOfGradient - normal * meanOfCorrelation) * scale
      }
    }
  }
}
