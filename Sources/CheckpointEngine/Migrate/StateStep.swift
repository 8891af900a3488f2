public import CheckpointFormat

/// One change from what an older version of a program saved to what a newer one expects.
///
/// Names are those within the scope that is migrated.
public struct StateStep: Sendable, CustomStringConvertible {
  /// What the step does, in a line.
  public let description: String
  private let body: @Sendable (inout ScopedTable) throws(CheckpointError) -> Void

  private init(
    _ description: String,
    _ body: @escaping @Sendable (inout ScopedTable) throws(CheckpointError) -> Void
  ) {
    self.description = description
    self.body = body
  }

  /// Renames a tensor, a value, or a scope with all that is in it.
  public static func rename(_ name: String, to target: String) -> StateStep {
    StateStep("rename \(name) to \(target)") { (table) throws(CheckpointError) in
      try table.rename(name, to: target)
    }
  }

  /// Removes a tensor, a value, or a scope with all that is in it.
  public static func drop(_ name: String) -> StateStep {
    StateStep("drop \(name)") { (table) throws(CheckpointError) in try table.drop(name) }
  }

  /// Gives a tensor another shape with as many elements; its bytes stay.
  public static func reshape(_ name: String, to shape: [Int]) -> StateStep {
    StateStep("reshape \(name) to \(shape)") { (table) throws(CheckpointError) in
      try table.reshape(name, to: shape)
    }
  }

  /// Converts the elements of a tensor; what does not fit refuses the checkpoint.
  ///
  /// A finite number must not become infinite, nor an integer be cut. Floats are rounded to the nearest.
  /// Not for the 8-bit floats and complex numbers.
  public static func cast(_ name: String, to dtype: DType) -> StateStep {
    StateStep("cast \(name) to \(dtype.name)") { (table) throws(CheckpointError) in
      try table.cast(name, to: dtype)
    }
  }

  /// Converts the elements of all selected tensors of floats; none may be no step at all.
  public static func cast(_ selection: StateSelection, to dtype: DType) -> StateStep {
    StateStep("cast all selected floats to \(dtype.name)") { (table) throws(CheckpointError) in
      for name in table.names where selection.contains(name) {
        if try table.tensor(name).descriptor.dtype.isFloat { try table.cast(name, to: dtype) }
      }
    }
  }

  /// Removes all selected tensors and values.
  public static func drop(_ selection: StateSelection) -> StateStep {
    StateStep("drop all selected") { (table) throws(CheckpointError) in table.drop(selection) }
  }

  /// Gives a tensor a second name that shares its bytes, for weights that are tied from now on.
  public static func alias(_ name: String, of original: String) -> StateStep {
    StateStep("alias \(name) of \(original)") { (table) throws(CheckpointError) in
      var tensor = try table.tensor(original)
      tensor.descriptor.name = table.prefix + name
      try table.add(tensor)
    }
  }

  /// Adds a value, which must not be there.
  public static func add(_ name: String, value: MetadataValue) -> StateStep {
    StateStep("add \(name)") { (table) throws(CheckpointError) in try table.add(name, value) }
  }

  /// Adds a tensor, which must not be there.
  ///
  /// - Parameters:
  ///   - name: Its name in the scope.
  ///   - dtype: The type of one element.
  ///   - shape: Dimensions in elements.
  ///   - element: The bytes of each element; nil for zeros.
  /// - Returns: The step.
  public static func add(
    _ name: String, dtype: DType, shape: [Int], filledWith element: [UInt8]? = nil
  ) -> StateStep {
    let element = element ?? [UInt8](repeating: 0, count: dtype.byteCount)
    precondition(element.count == dtype.byteCount, "an element has as many bytes as its dtype")
    return StateStep("add \(name), \(dtype.name) \(shape)") { (table) throws(CheckpointError) in
      try table.add(TensorSource(table.descriptor(name, dtype, shape), .repeated(element)))
    }
  }

  /// Makes a tensor of others, when it is restored: splits, merges, transposes.
  ///
  /// - Parameters:
  ///   - name: Its name in the scope; may be that of an input.
  ///   - dtype: The type of one element.
  ///   - shape: Dimensions in elements.
  ///   - inputs: Names of tensors in the scope; drop them in a step of their own if they are not wanted
  ///     any more.
  ///   - body: Is given the bytes of each input, row-major and little-endian, and returns those of the
  ///     new tensor. Called once for each restore that reads the tensor.
  /// - Returns: The step.
  public static func make(
    _ name: String, dtype: DType, shape: [Int], of inputs: [String],
    _ body: @escaping @Sendable ([[UInt8]]) throws -> [UInt8]
  ) -> StateStep {
    StateStep("make \(name) of \(inputs.joined(separator: ", "))") {
      (table) throws(CheckpointError) in
      var sources: [TensorSource] = []
      for input in inputs { sources.append(try table.tensor(input)) }
      table.replace(TensorSource(table.descriptor(name, dtype, shape), .made(sources, body)))
    }
  }

  /// Makes a value of what was saved.
  ///
  /// - Parameters:
  ///   - name: Its name in the scope; one that is there is replaced.
  ///   - body: Is given the values of the scope by name, and returns the new one.
  /// - Returns: The step.
  public static func makeValue(
    _ name: String, _ body: @escaping @Sendable ([String: MetadataValue]) throws -> MetadataValue
  ) -> StateStep {
    StateStep("make value \(name)") { (table) throws(CheckpointError) in
      try table.makeValue(name, body)
    }
  }

  func apply(to table: inout ScopedTable) throws(CheckpointError) { try body(&table) }
}

extension StateTable {
  /// Applies a step to a scope.
  ///
  /// - Parameters:
  ///   - step: The step.
  ///   - scope: The path of the scope; empty for the whole state.
  /// - Throws: ``CheckpointError``: `.incompatibleState` if what the step needs is not there.
  package mutating func apply(_ step: StateStep, in scope: String) throws(CheckpointError) {
    var scoped = ScopedTable(
      table: StateTable(path: path), prefix: scope.isEmpty ? "" : scope + "/", step: step)
    // Exchanged, so that there is one reference and nothing is copied.
    swap(&self, &scoped.table)
    defer { swap(&self, &scoped.table) }
    try step.apply(to: &scoped)
  }
}

/// A table as a step sees it.
struct ScopedTable {
  var table: StateTable
  let prefix: String
  let step: StateStep

  func descriptor(_ name: String, _ dtype: DType, _ shape: [Int]) -> TensorDescriptor {
    TensorDescriptor(name: prefix + name, dtype: dtype, shape: shape)
  }

  func tensor(_ name: String) throws(CheckpointError) -> TensorSource {
    guard let tensor = table.tensors[StateName(prefix + name)] else { throw missing(name) }
    return tensor
  }

  mutating func rename(_ name: String, to target: String) throws(CheckpointError) {
    guard try table.rename(prefix + name, to: prefix + target) else { throw missing(name) }
  }

  /// The names of the tensors of the scope.
  var names: [String] {
    table.tensors.keys.filter { $0.text.utf8.starts(with: prefix.utf8) }.map(within)
  }

  private func within(_ path: StateName) -> String {
    String(decoding: path.text.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  mutating func drop(_ selection: StateSelection) {
    let paths = Set(table.tensors.keys).union(table.values.keys).filter { path in
      path.text.utf8.starts(with: prefix.utf8) && selection.contains(within(path))
    }
    for path in paths {
      table.set(TensorSource?.none, named: path.text)
      table.set(MetadataValue?.none, named: path.text)
    }
  }

  mutating func drop(_ name: String) throws(CheckpointError) {
    guard table.drop(prefix + name) else { throw missing(name) }
  }

  mutating func reshape(_ name: String, to shape: [Int]) throws(CheckpointError) {
    var tensor = try tensor(name)
    let before = tensor.byteCount
    tensor.descriptor.shape = shape
    guard tensor.descriptor.checkedByteCount == before else {
      throw failure("'\(escaped(prefix + name))' has another number of elements")
    }
    replace(tensor)
  }

  mutating func cast(_ name: String, to dtype: DType) throws(CheckpointError) {
    let tensor = try tensor(name)
    guard tensor.descriptor.dtype != dtype else { return }
    guard TensorCast.isSupported(tensor.descriptor.dtype), TensorCast.isSupported(dtype) else {
      throw failure("\(tensor.descriptor.dtype.name) cannot be converted to \(dtype.name)")
    }
    var descriptor = tensor.descriptor
    descriptor.dtype = dtype
    replace(TensorSource(descriptor, .cast(tensor)))
  }

  mutating func add(_ tensor: TensorSource) throws(CheckpointError) {
    try requireFree(tensor.descriptor.name)
    guard tensor.descriptor.checkedByteCount != nil else {
      throw failure("shape \(tensor.descriptor.shape) is impossible")
    }
    replace(tensor)
  }

  mutating func add(_ name: String, _ value: MetadataValue) throws(CheckpointError) {
    try requireFree(prefix + name)
    table.set(value, named: prefix + name)
  }

  mutating func makeValue(
    _ name: String, _ body: ([String: MetadataValue]) throws -> MetadataValue
  ) throws(CheckpointError) {
    var known: [String: MetadataValue] = [:]
    for (path, value) in table.values where path.text.utf8.starts(with: prefix.utf8) {
      known[within(path)] = value
    }
    do {
      table.set(try body(known), named: prefix + name)
    } catch {
      throw (error as? CheckpointError) ?? failure("it threw \(error)")
    }
  }

  mutating func replace(_ tensor: TensorSource) { table.set(tensor, named: tensor.descriptor.name) }

  private func requireFree(_ path: String) throws(CheckpointError) {
    let name = StateName(path)
    guard table.tensors[name] == nil, table.values[name] == nil else {
      throw failure("'\(escaped(path))' is there already")
    }
  }

  private func missing(_ name: String) -> CheckpointError {
    failure("'\(escaped(prefix + name))' is not there")
  }

  private func failure(_ what: String) -> CheckpointError {
    table.failure("the step '\(escaped(step.description))' does not work: \(what)")
  }
}

extension DType {
  fileprivate var isFloat: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }
}
