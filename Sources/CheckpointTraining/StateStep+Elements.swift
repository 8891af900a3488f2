public import CheckpointEngine

extension StateStep {
  /// Adds a tensor of equal elements, which must not be there.
  ///
  /// - Parameters:
  ///   - name: Its name in the scope.
  ///   - shape: Dimensions in elements.
  ///   - element: Each element.
  /// - Returns: The step.
  public static func add<Element: TensorElement>(
    _ name: String, shape: [Int], filledWith element: Element
  ) -> StateStep {
    // SAFETY: a TensorElement has no padding, so each of its bytes is initialised.
    let bytes = unsafe withUnsafeBytes(of: element) { unsafe Array($0) }
    return add(name, dtype: Element.dtype, shape: shape, filledWith: bytes)
  }

  /// Adds a value, which must not be there.
  public static func add(_ name: String, _ value: some StateValue) -> StateStep {
    add(name, value: value.metadataValue)
  }
}
