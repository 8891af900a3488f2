// Elementwise operations on matrices whose rows are padded to whole vectors.
extension Matrix {
  /// Sets every element, and the padding.
  func fill(_ value: Float) {
    forEachVector { row, column in
      self[vector: row, column] = SIMD8(repeating: value)
    }
  }

  /// Copies all elements of a matrix of the same shape.
  func copy(_ other: Matrix) {
    forEachVector { row, column in
      self[vector: row, column] = other[vector: row, column]
    }
  }

  /// Adds a matrix of the same shape.
  func add(_ other: Matrix) {
    forEachVector { row, column in
      self[vector: row, column] += other[vector: row, column]
    }
  }

  /// Adds a single row to each row.
  func addToEachRow(_ bias: Matrix) {
    forEachVector { row, column in
      self[vector: row, column] += bias[vector: 0, column]
    }
  }

  /// Sets a single row to the sum of all rows of `other`, from the first to the last.
  func setToSumOfRows(_ other: Matrix) {
    for column in stride(from: 0, to: columnCount, by: 8) {
      var sum = SIMD8<Float>.zero
      for row in 0..<other.rowCount { sum += other[vector: row, column] }
      self[vector: 0, column] = sum
    }
  }

  /// Applies GELU (its tanh form) into `out`, and replaces each element by the slope there.
  func applyGELU(into out: Matrix) {
    let scale: Float = 0.797_884_56  // sqrt(2 / pi)
    let cubic: Float = 0.044_715
    forEachVector { row, column in
      let x = self[vector: row, column]
      let square = x * x
      let t = ExactMath.tanh(x * (square * cubic + 1) * scale)
      let half = (t + 1) * 0.5
      out[vector: row, column] = x * half
      self[vector: row, column] =
        half + x * (1 - t * t) * (square * (3 * cubic) + 1) * (0.5 * scale)
    }
  }

  /// Multiplies with a matrix of the same shape, element by element.
  func multiplyElements(_ other: Matrix) {
    forEachVector { row, column in
      self[vector: row, column] *= other[vector: row, column]
    }
  }

  @inline(__always)
  private func forEachVector(_ body: (_ row: Int, _ column: Int) -> Void) {
    for row in 0..<rowCount {
      for column in stride(from: 0, to: columnCount, by: 8) { body(row, column) }
    }
  }
}
