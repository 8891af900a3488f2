internal import CheckpointEngine
public import CheckpointFormat

/// What a ``Checkpointable`` is given to save itself.
///
/// The bytes of a tensor are borrowed: they are copied before the call returns and never kept.
public struct StateWriter {
  private let recorder: StateRecorder
  /// The path of the current scope, with a slash at its end unless it is empty.
  private let prefix: String

  init(_ recorder: StateRecorder, prefix: String = "") {
    self.recorder = recorder
    self.prefix = prefix
  }

  // MARK: Tensors

  /// Saves an array as a tensor.
  ///
  /// - Parameters:
  ///   - name: Unique in its scope; 1 to 4,096 bytes of UTF-8 with the scope, no control characters.
  ///   - values: The elements, row-major.
  ///   - shape: Dimensions in elements, or nil for one dimension.
  ///   - dtype: Another dtype of the same size, for elements that Swift has no type for.
  /// - Throws: ``CheckpointError``: `.invalidState` if the shape does not fit; errors of writing.
  public mutating func tensor<Element: TensorElement>(
    _ name: String, _ values: [Element], shape: [Int]? = nil, as dtype: DType? = nil
  ) throws {
    // SAFETY: a TensorElement has no padding, so each of its bytes is initialised.
    let bytes = unsafe values.span.bytes
    try tensor(name, dtype: dtype ?? Element.dtype, shape: shape ?? [values.count], bytes)
  }

  /// Saves borrowed bytes as a tensor.
  ///
  /// - Parameters:
  ///   - name: Unique in its scope.
  ///   - dtype: The type of one element.
  ///   - shape: Dimensions in elements; empty for a scalar.
  ///   - bytes: All elements, row-major and little-endian.
  /// - Throws: ``CheckpointError``: `.invalidState` if the size does not fit; errors of writing.
  public mutating func tensor(
    _ name: String, dtype: DType, shape: [Int], _ bytes: RawSpan
  ) throws {
    let descriptor = TensorDescriptor(name: prefix + name, dtype: dtype, shape: shape)
    guard descriptor.checkedByteCount == UInt64(bytes.byteCount) else {
      throw CheckpointError(
        .invalidState,
        "Tensor '\(escaped(descriptor.name))' of shape \(shape) and dtype \(dtype.name) was given "
          + "\(bytes.byteCount) bytes.")
    }
    // A span cannot be captured by a closure that the recorder calls, so the pointer is.
    try unsafe bytes.withUnsafeBytes { buffer in
      nonisolated(unsafe) let buffer = unsafe buffer
      try recorder.tensor(descriptor) { sink in
        // SAFETY: the recorder calls this before it returns, while the bytes are borrowed.
        try unsafe sink.append(RawSpan(_unsafeBytes: buffer))
      }
    }
  }

  /// Saves the bytes of an unsafe buffer as a tensor.
  ///
  /// - Parameters:
  ///   - name: Unique in its scope.
  ///   - dtype: The type of one element.
  ///   - shape: Dimensions in elements; empty for a scalar.
  ///   - buffer: All elements, row-major and little-endian; valid until this returns.
  /// - Throws: ``CheckpointError``: `.invalidState` if the size does not fit; errors of writing.
  @unsafe
  public mutating func tensor(
    _ name: String, dtype: DType, shape: [Int], unsafeBytes buffer: UnsafeRawBufferPointer
  ) throws {
    unsafe try tensor(name, dtype: dtype, shape: shape, RawSpan(_unsafeBytes: buffer))
  }

  /// Saves a tensor whose bytes are made on demand: strided, generated, or on another device.
  ///
  /// - Parameters:
  ///   - name: Unique in its scope.
  ///   - dtype: The type of one element.
  ///   - shape: Dimensions in elements; empty for a scalar.
  ///   - fill: Is given the offset in bytes of a range of the tensor and a buffer to fill with it.
  ///     Ranges come in ascending order without gaps, in whole elements, and may end early where the
  ///     state is only looked at; what is left out is zero.
  ///     Not called in the planning pass.
  /// - Throws: What `fill` throws; errors of writing.
  public mutating func tensor(
    _ name: String, dtype: DType, shape: [Int],
    fill: (_ byteOffset: UInt64, _ target: UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    let descriptor = TensorDescriptor(name: prefix + name, dtype: dtype, shape: shape)
    let byteCount = descriptor.checkedByteCount ?? 0
    try recorder.tensor(descriptor) { sink in try unsafe sink.fill(byteCount, fill) }
  }

  /// Gives a tensor of this scope a second name, for tied weights; its bytes are saved once.
  ///
  /// - Parameters:
  ///   - name: The second name, unique in this scope.
  ///   - original: The name of a tensor of this scope that was saved before.
  /// - Throws: ``CheckpointError``: `.invalidState`.
  public mutating func alias(_ name: String, of original: String) throws(CheckpointError) {
    try recorder.alias(prefix + name, of: prefix + original)
  }

  // MARK: Values

  /// Saves a value bit for bit.
  ///
  /// - Parameters:
  ///   - name: Unique among the values of its scope.
  ///   - value: A number, text, or bytes of at most 4 MiB.
  /// - Throws: ``CheckpointError``: `.invalidState`.
  public mutating func value(
    _ name: String, _ value: some StateValue
  ) throws(CheckpointError) {
    try recorder.value(.state, prefix + name, value.metadataValue)
  }

  /// Saves a configuration as JSON with sorted keys.
  ///
  /// - Parameters:
  ///   - name: Unique among the values of its scope.
  ///   - value: Anything Codable; use ``value(_:_:)`` for what must be bit-exact.
  /// - Throws: Errors of encoding; ``CheckpointError``: `.invalidState`.
  public mutating func codable(_ name: String, _ value: some Encodable) throws {
    try recorder.value(.state, prefix + name, .json(JSONCoding.encode(value)))
  }

  // MARK: Composition

  /// Saves a part under names that begin with `name/`.
  ///
  /// - Parameters:
  ///   - name: The scope; may itself contain slashes.
  ///   - part: What is saved in it.
  /// - Throws: What the part's `save(to:)` throws.
  public mutating func scope<Part: Checkpointable>(_ name: String, _ part: Part) throws {
    let path = prefix + name
    try recorder.scope(path, Part.self)
    var inner = StateWriter(recorder, prefix: path + "/")
    try part.save(to: &inner)
  }
}
