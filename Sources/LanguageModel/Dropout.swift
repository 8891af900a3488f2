// Dropout masks are a pure function of a key, the place in the model, and the element. No
// generator runs along, so the order of the threads cannot matter, and the backward pass needs no
// stored mask.

/// Sets a share of activations to zero and scales up the rest.
struct Dropout {
  private let key: UInt64
  /// An element is dropped if its 16 random bits are below this.
  private let threshold: UInt32
  private let scale: Float

  /// Makes the masks of one window.
  ///
  /// - Parameters:
  ///   - probability: the share to drop; 0 gives nil. Rounded to a multiple of 2^-16.
  ///   - key: drawn once per micro-batch.
  ///   - sequence: the index of the window in its micro-batch.
  init?(probability: Float, key: UInt64, sequence: Int) {
    guard probability > 0 else { return nil }
    threshold = UInt32(min((probability * 65_536).rounded(), 65_535))
    scale = 65_536 / Float(65_536 - threshold)
    self.key = RandomGenerator.mix(key ^ RandomGenerator.mix(UInt64(sequence) &+ 1))
  }

  /// Drops elements of `x`; the backward pass applies the same to the gradient.
  ///
  /// - Parameters:
  ///   - x: the activations or their gradient.
  ///   - site: the place in the model; each has masks of its own.
  func apply(to x: Matrix, site: Int) {
    let siteKey = RandomGenerator.mix(key &+ UInt64(site) &* 0x9e37_79b9_7f4a_7c15)
    let columnVectors = (x.columnCount + 7) / 8
    for row in 0..<x.rowCount {
      for column in 0..<columnVectors {
        let counter = UInt64(2 * (row * columnVectors + column))
        let low = lanes(RandomGenerator.mix(siteKey &+ counter &* 0x9e37_79b9_7f4a_7c15))
        let high = lanes(RandomGenerator.mix(siteKey &+ (counter + 1) &* 0x9e37_79b9_7f4a_7c15))
        let bits = SIMD8(lowHalf: low, highHalf: high)
        let scaled = x[vector: row, 8 * column] * scale
        x[vector: row, 8 * column] = scaled.replacing(with: 0, where: bits .< threshold)
      }
    }
  }

  /// Four numbers of 16 bits.
  @inline(__always)
  private func lanes(_ word: UInt64) -> SIMD4<UInt32> {
    let low = UInt32(truncatingIfNeeded: word)
    let high = UInt32(truncatingIfNeeded: word &>> 32)
    return SIMD4(low, low &>> 16, high, high &>> 16) & 0xffff
  }
}
