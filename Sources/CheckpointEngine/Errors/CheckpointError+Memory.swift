package import CheckpointStorage

extension Memory {
  /// Throws `.overLimit` unless this machine could hold a tensor at once.
  package static func require(
    _ byteCount: Int, for name: String, in path: String? = nil
  ) throws(CheckpointError) {
    guard !isAvailable(byteCount) else { return }
    throw CheckpointError(
      .overLimit,
      "Tensor '\(escaped(name))' takes \(byteCount) bytes, for which this machine has no memory. "
        + "Read it by rows, or into memory of your own.",
      at: path.map { CheckpointError.Location(path: $0, tensor: name) })
  }
}
