internal import CheckpointTraining

/// Tensors like those of a trained model: normally distributed float32 noise.
struct ArrayState: Checkpointable {
  var tensors: [[Float]]

  /// - Parameters:
  ///   - tensorCount: How many tensors.
  ///   - elementCount: Elements of each.
  init(tensorCount: Int, elementCount: Int) {
    var generator = SplitMix(state: 1)
    tensors = (0..<tensorCount).map { _ in
      (0..<elementCount).map { _ in generator.nextNormal() * 0.02 }
    }
  }

  func save(to state: inout StateWriter) throws {
    for (index, tensor) in tensors.enumerated() { try state.tensor("t\(index)", tensor) }
  }

  mutating func restore(from state: StateReader) throws {
    for index in tensors.indices { try state.tensor("t\(index)", into: &tensors[index]) }
  }

  private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }

    /// A sum of four uniform numbers, close enough to a normal one for its exponents.
    mutating func nextNormal() -> Float {
      let bits = next()
      let parts = (0..<4).map { Float((bits >> (16 * $0)) & 0xFFFF) / 65536 - 0.5 }
      return (parts[0] + parts[1] + parts[2] + parts[3]) * 1.732
    }
  }
}
