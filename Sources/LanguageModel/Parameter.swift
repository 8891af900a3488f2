/// A named tensor that training changes.
package struct Parameter: Equatable, Sendable {
  /// The name, such as `blocks.0.attn.qkv.weight`.
  package let name: String
  /// The dimensions, outermost first; a matrix has the output dimension first.
  package let shape: [Int]
  /// The elements, in row-major order.
  package var values: [Float]

  /// Makes a parameter.
  ///
  /// - Parameters:
  ///   - name: the name.
  ///   - shape: the dimensions.
  ///   - values: as many elements as the product of the dimensions.
  /// - Precondition: the number of elements fits the shape.
  package init(name: String, shape: [Int], values: [Float]) {
    precondition(shape.reduce(1, *) == values.count, "The shape does not fit the values.")
    self.name = name
    self.shape = shape
    self.values = values
  }
}
