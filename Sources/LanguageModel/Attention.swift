/// Causal attention of one head, and its gradient.
///
/// Work is done in strips of rows, so that most of the masked upper triangle is never computed.
struct Attention {
  private static let stripHeight = 32

  let multiplier: MatrixMultiplier

  /// Sets `out` to the attended values; keeps the attention weights in `probabilities`.
  func forward(
    query: Matrix, key: Matrix, value: Matrix, probabilities: Matrix, into out: Matrix
  ) {
    let scale = 1 / Float(query.columnCount).squareRoot()
    for strip in strips(query.rowCount) {
      let past = 0..<strip.upperBound
      let weights = probabilities.rows(strip).columns(past)
      multiplier.multiply(query.rows(strip), key.rows(past).transposed, into: weights)
      for row in strip { Self.softmax(weights, row: row - strip.lowerBound, last: row, scale) }
      multiplier.multiply(weights, value.rows(past), into: out.rows(strip))
    }
  }

  /// Sets the gradients of query, key and value, given that of the attended values.
  ///
  /// `scores` is scratch memory of the size of `probabilities`.
  func backward(
    _ gradient: Matrix, query: Matrix, key: Matrix, value: Matrix, probabilities: Matrix,
    scores: Matrix, into target: (query: Matrix, key: Matrix, value: Matrix)
  ) {
    let length = query.rowCount
    let scale = 1 / Float(query.columnCount).squareRoot()
    for strip in strips(length) {
      let past = 0..<strip.upperBound
      let slopes = scores.rows(strip).columns(past)
      multiplier.multiply(gradient.rows(strip), value.rows(past).transposed, into: slopes)
      for row in 0..<strip.count {
        Self.softmaxBackward(slopes, weights: probabilities.rows(strip), row: row, scale)
      }
      multiplier.multiply(slopes, key.rows(past), into: target.query.rows(strip))
    }
    for strip in strips(length) {
      let future = strip.lowerBound..<length
      multiplier.multiply(
        probabilities.rows(future).columns(strip).transposed, gradient.rows(future),
        into: target.value.rows(strip))
      multiplier.multiply(
        scores.rows(future).columns(strip).transposed, query.rows(future),
        into: target.key.rows(strip))
    }
  }

  private func strips(_ length: Int) -> [Range<Int>] {
    stride(from: 0, to: length, by: Self.stripHeight).map {
      $0..<min($0 + Self.stripHeight, length)
    }
  }

  /// Turns the scores of a row up to `last` into weights, and sets the rest of the row to zero.
  private static func softmax(_ weights: Matrix, row: Int, last: Int, _ scale: Float) {
    for column in last + 1..<max(Matrix.padded(weights.columnCount), last + 1) {
      weights[row, column] = -.infinity
    }
    SoftmaxRow(weights, row).normalise(scale: scale)
  }

  /// Replaces the gradient of a row of weights by that of the scores.
  private static func softmaxBackward(
    _ gradient: Matrix, weights: Matrix, row: Int, _ scale: Float
  ) {
    var products = SIMD8<Float>.zero
    for column in stride(from: 0, to: gradient.columnCount, by: 8) {
      products += gradient[vector: row, column] * weights[vector: row, column]
    }
    let mean = ExactMath.sum(products)
    for column in stride(from: 0, to: gradient.columnCount, by: 8) {
      gradient[vector: row, column] =
        (gradient[vector: row, column] - mean) * weights[vector: row, column] * scale
    }
  }
}
