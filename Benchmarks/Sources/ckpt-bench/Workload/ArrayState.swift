internal import CheckpointTraining

/// Tensors like those of a trained model: normally distributed float32 noise.
struct ArrayState: Checkpointable {
  var tensors: [[Float]]

  /// - Parameters:
  ///   - tensorCount: How many tensors.
  ///   - elementCount: Elements of each.
  init(tensorCount: Int, elementCount: Int) {
    var generator = RandomStream(1)
    tensors = (0..<tensorCount).map { _ in
      (0..<elementCount).map { _ in Self.normal(&generator) * 0.02 }
    }
  }

  func save(to state: inout StateWriter) throws {
    for (index, tensor) in tensors.enumerated() { try state.tensor("t\(index)", tensor) }
  }

  mutating func restore(from state: StateReader) throws {
    for index in tensors.indices { try state.tensor("t\(index)", into: &tensors[index]) }
  }

  /// A sum of four uniform numbers, close enough to a normal one for its exponents.
  private static func normal(_ generator: inout RandomStream) -> Float {
    let bits = generator.next()
    let parts = (0..<4).map { Float((bits >> (16 * $0)) & 0xFFFF) / 65536 - 0.5 }
    return (parts[0] + parts[1] + parts[2] + parts[3]) * 1.732
  }
}
