internal import CheckpointEngine
public import CheckpointFormat
internal import CheckpointStorage

/// What a ``Checkpointable`` is given to restore itself.
///
/// Every byte is checked on its way; a tensor comes back as it was saved or an error is thrown.
public struct StateReader {
  private let table: StateTable
  private let prefix: String
  private let usage: StateUsage

  init(_ table: StateTable, usage: StateUsage, prefix: String = "") {
    self.table = table
    self.usage = usage
    self.prefix = prefix
  }

  /// The version that this scope was saved with, or was migrated to; 0 if the checkpoint has no such
  /// scope.
  public var stateVersion: Int {
    let scope = prefix.isEmpty ? "" : String(prefix.dropLast())
    return table.versions[StateName(scope)] ?? 0
  }

  // MARK: Tensors

  /// What is known of a tensor of this scope; nil if there is none of that name.
  public func descriptor(of name: String) -> TensorDescriptor? {
    table.tensors.find(prefix + name)?.descriptor
  }

  /// Reads a tensor into a new array.
  ///
  /// - Parameters:
  ///   - name: As it was saved.
  ///   - type: The element type; its dtype must be the saved one, or `dtype` must.
  ///   - shape: If given, the shape that the tensor must have.
  ///   - dtype: The dtype it was saved with, if not the element's own.
  /// - Returns: The elements, row-major; their bytes are the tensor's.
  /// - Throws: ``CheckpointError``: `.incompatibleState` naming the tensor; errors of reading.
  public func tensor<Element: TensorElement>(
    _ name: String, of type: Element.Type = Element.self, shape: [Int]? = nil,
    as dtype: DType? = nil
  ) throws(CheckpointError) -> [Element] {
    let tensor = try require(name, dtype: dtype ?? Element.dtype, shape: shape)
    let size = UInt64(MemoryLayout<Element>.stride)
    guard tensor.byteCount % size == 0, let count = Int(exactly: tensor.byteCount / size) else {
      throw mismatch(tensor.descriptor, "\(Element.self) has no whole number of elements in it")
    }
    try Memory.require(Int(clamping: tensor.byteCount), for: prefix + name, in: table.path)
    return unsafe try [Element](filling: count) { (target) throws(CheckpointError) in
      // SAFETY: every bit pattern of a TensorElement is a value, and no byte of one is padding.
      unsafe try read(tensor, prefix + name, into: target)
    }
  }

  /// Reads a tensor into an array that has its number of bytes.
  ///
  /// When this throws, the contents of `values` are unspecified.
  ///
  /// - Parameters:
  ///   - name: As it was saved.
  ///   - values: Is overwritten; its count must be the tensor's.
  ///   - shape: If given, the shape that the tensor must have.
  ///   - dtype: The dtype it was saved with, if not the element's own.
  /// - Throws: ``CheckpointError``: `.incompatibleState` naming the tensor; errors of reading.
  @specialized(where Element == Float)  // else other modules get code for any type
  @specialized(where Element == UInt16)
  @specialized(where Element == UInt8)
  public func tensor<Element: TensorElement>(
    _ name: String, into values: inout [Element], shape: [Int]? = nil, as dtype: DType? = nil
  ) throws(CheckpointError) {
    let tensor = try require(name, dtype: dtype ?? Element.dtype, shape: shape)
    guard tensor.byteCount == UInt64(values.count * MemoryLayout<Element>.stride) else {
      throw mismatch(
        tensor.descriptor, "the program has \(values.count) elements of \(Element.self) for it")
    }
    try read(tensor, prefix + name, into: &values)
  }

  /// Reads a tensor into unsafe memory.
  ///
  /// - Parameters:
  ///   - name: As it was saved.
  ///   - dtype: The dtype it must have.
  ///   - shape: The shape it must have.
  ///   - target: As many bytes as the tensor has; unspecified if this throws.
  /// - Throws: ``CheckpointError``: `.incompatibleState` naming the tensor; errors of reading.
  @unsafe
  public func tensor(
    _ name: String, dtype: DType, shape: [Int], into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let tensor = try require(name, dtype: dtype, shape: shape)
    unsafe try read(tensor, prefix + name, into: target)
  }

  private func read(
    _ tensor: FoundTensor, _ path: String, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    // From here on the trainer is no longer what it was.
    usage.begunTensors.insert(tensor, path)
    do {
      unsafe try tensor.read(into: target)
    } catch {
      usage.note(error)
      throw error
    }
    usage.tensors.insert(tensor, path)
  }

  private func read<Element: TensorElement>(
    _ tensor: FoundTensor, _ path: String, into values: inout [Element]
  ) throws(CheckpointError) {
    // Array's own access to its bytes has no typed throw.
    var failure: CheckpointError?
    unsafe values.withUnsafeMutableBytes { target in
      do throws(CheckpointError) {
        // SAFETY: every bit pattern of a TensorElement is a value.
        unsafe try read(tensor, path, into: target)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func require(
    _ name: String, dtype: DType, shape: [Int]?
  ) throws(CheckpointError) -> FoundTensor {
    let path = prefix + name
    guard let tensor = table.tensors.find(path, trying: usage.nextNumber) else {
      throw CheckpointError(
        .incompatibleState,
        "\(escaped(table.path)) has no tensor '\(escaped(path))', which the program restores.",
        at: CheckpointError.Location(path: table.path, tensor: path))
    }
    if case .saved(_, let number) = tensor { usage.nextNumber = number + 1 }
    guard tensor.dtype == dtype else {
      throw mismatch(tensor.descriptor, "the program expects \(dtype.name)")
    }
    if let shape, !tensor.hasShape(shape) {
      throw mismatch(tensor.descriptor, "the program expects shape \(shape)")
    }
    return tensor
  }

  private func mismatch(_ descriptor: TensorDescriptor, _ what: String) -> CheckpointError {
    CheckpointError(
      .incompatibleState,
      "Tensor '\(escaped(descriptor.name))' was saved as \(descriptor.dtype.name) of shape "
        + "\(descriptor.shape); \(what).",
      at: CheckpointError.Location(path: table.path, tensor: descriptor.name))
  }

  // MARK: Values

  /// Whether a value of that name was saved in this scope.
  public func hasValue(_ name: String) -> Bool { table.values[StateName(prefix + name)] != nil }

  /// Reads a value.
  ///
  /// - Parameters:
  ///   - name: As it was saved.
  ///   - type: The type it was saved with.
  /// - Returns: The same bits.
  /// - Throws: ``CheckpointError``: `.incompatibleState` if there is none, or of another type.
  public func value<Value: StateValue>(
    _ name: String, as type: Value.Type = Value.self
  ) throws(CheckpointError) -> Value {
    guard let value = Value(try metadataValue(name)) else {
      throw CheckpointError(
        .incompatibleState,
        "Value '\(escaped(prefix + name))' of \(escaped(table.path)) was not saved as "
          + "\(Value.self).", at: CheckpointError.Location(path: table.path))
    }
    usage.values.insert(StateName(prefix + name))
    return value
  }

  /// Reads a configuration that was saved as JSON.
  ///
  /// - Parameters:
  ///   - name: As it was saved.
  ///   - type: What it is decoded as.
  /// - Returns: The decoded value.
  /// - Throws: Errors of decoding; ``CheckpointError``: `.incompatibleState` if there is none.
  public func codable<Value: Decodable>(
    _ name: String, as type: Value.Type = Value.self
  ) throws -> Value {
    guard case .json(let text) = try metadataValue(name) else {
      throw CheckpointError(
        .incompatibleState,
        "Value '\(escaped(prefix + name))' of \(escaped(table.path)) was not saved as JSON.",
        at: CheckpointError.Location(path: table.path))
    }
    let value = try JSONCoding.decode(text, as: type)
    usage.values.insert(StateName(prefix + name))
    return value
  }

  private func metadataValue(_ name: String) throws(CheckpointError) -> MetadataValue {
    guard let value = table.values[StateName(prefix + name)] else {
      throw CheckpointError(
        .incompatibleState,
        "\(escaped(table.path)) has no value '\(escaped(prefix + name))', which the program "
          + "restores.", at: CheckpointError.Location(path: table.path))
    }
    return value
  }

  // MARK: Composition

  /// Restores a part from the scope it was saved in.
  ///
  /// - Parameters:
  ///   - name: The scope.
  ///   - part: What is restored.
  /// - Throws: What the part's `restore(from:)` throws.
  public func scope(_ name: String, _ part: inout some Checkpointable) throws {
    try part.restore(from: StateReader(table, usage: usage, prefix: prefix + name + "/"))
  }

  /// Restores a part that is a class instance from the scope it was saved in.
  ///
  /// - Parameters:
  ///   - name: The scope.
  ///   - part: What is restored.
  /// - Throws: What the part's `restore(from:)` throws.
  public func scope<Part: Checkpointable & AnyObject>(_ name: String, _ part: Part) throws {
    var reference = part
    try scope(name, &reference)
  }
}
