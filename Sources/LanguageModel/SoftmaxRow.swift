/// A row of scores, with padding of minus infinity, that becomes probabilities.
struct SoftmaxRow {
  private let matrix: Matrix
  private let row: Int

  init(_ matrix: Matrix, _ row: Int) {
    self.matrix = matrix
    self.row = row
  }

  /// Replaces the scores, multiplied by `scale`, by their softmax.
  ///
  /// - Returns: the logarithm of the sum of the exponentials of the scaled scores.
  @discardableResult
  func normalise(scale: Float) -> Float {
    let columns = stride(from: 0, to: matrix.columnCount, by: 8)
    var highest = SIMD8<Float>(repeating: -.infinity)
    for column in columns {
      let x = matrix[vector: row, column]
      highest.replace(with: x, where: x .> highest)
    }
    var maximum = highest[0]
    for lane in 1..<8 where highest[lane] > maximum { maximum = highest[lane] }
    var sums = SIMD8<Float>.zero
    for column in columns {
      let e = ExactMath.exp((matrix[vector: row, column] - maximum) * scale)
      matrix[vector: row, column] = e
      sums += e
    }
    let sum = ExactMath.sum(sums)
    let share = 1 / sum
    for column in columns { matrix[vector: row, column] *= share }
    return maximum * scale + ExactMath.log(sum)
  }
}
