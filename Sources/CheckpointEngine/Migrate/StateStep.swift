public import CheckpointFormat

/// One change from what an older version of a program saved to what a newer one expects.
///
/// Names are those within the scope that is migrated.
public struct StateStep: Sendable, CustomStringConvertible {
  /// What the step does, in a line.
  public let description: String
  /// Tells steps apart: kind and arguments, each with its length; nil if a function decides what it does.
  let identity: String?
  private let body: @Sendable (inout ScopedTable) throws(CheckpointError) -> Void

  private init(
    _ description: String, _ arguments: [String]?,
    _ body: @escaping @Sendable (inout ScopedTable) throws(CheckpointError) -> Void
  ) {
    self.description = description
    identity = arguments.map { $0.map { "\($0.utf8.count):\($0)" }.joined() }
    self.body = body
  }

  /// Renames a tensor, a value, or a scope with all that is in it.
  public static func rename(_ name: String, to target: String) -> StateStep {
    StateStep("rename \(name) to \(target)", ["rename", name, target]) {
      (table) throws(CheckpointError) in
      try table.rename(name, to: target)
    }
  }

  /// Removes a tensor, a value, or a scope with all that is in it.
  public static func drop(_ name: String) -> StateStep {
    StateStep("drop \(name)", ["drop", name]) { (table) throws(CheckpointError) in
      try table.drop(name)
    }
  }

  /// Gives a tensor another shape with as many elements; its bytes stay.
  public static func reshape(_ name: String, to shape: [Int]) -> StateStep {
    StateStep("reshape \(name) to \(shape)", ["reshape", name, "\(shape)"]) {
      (table) throws(CheckpointError) in
      try table.reshape(name, to: shape)
    }
  }

  /// Converts the elements of a tensor; what does not fit refuses the checkpoint.
  ///
  /// A finite number must not become infinite, nor an integer be cut. Floats are rounded to the nearest.
  /// Not for the 8-bit floats and complex numbers.
  public static func cast(_ name: String, to dtype: DType) -> StateStep {
    StateStep("cast \(name) to \(dtype.name)", ["cast", name, dtype.name]) {
      (table) throws(CheckpointError) in
      try table.cast(name, to: dtype)
    }
  }

  /// Converts the elements of all selected tensors of floats; none may be no step at all.
  public static func cast(_ selection: StateSelection, to dtype: DType) -> StateStep {
    StateStep(
      "cast the floats \(selection) to \(dtype.name)", ["cast all", "\(selection)", dtype.name]
    ) { (table) throws(CheckpointError) in
      for name in table.names where selection.contains(name) {
        if try table.tensor(name).descriptor.dtype.isFloat { try table.cast(name, to: dtype) }
      }
    }
  }

  /// Removes all selected tensors and values.
  public static func drop(_ selection: StateSelection) -> StateStep {
    StateStep("drop \(selection)", ["drop all", "\(selection)"]) {
      (table) throws(CheckpointError) in table.drop(selection)
    }
  }

  /// Does nothing, and refuses a state in which nothing is selected: a pattern was mistyped.
  package static func require(_ selection: StateSelection) -> StateStep {
    StateStep("look for \(selection)", ["require", "\(selection)"]) {
      (table) throws(CheckpointError) in try table.require(selection)
    }
  }

  /// Gives a tensor a second name that shares its bytes, for weights that are tied from now on.
  public static func alias(_ name: String, of original: String) -> StateStep {
    StateStep("alias \(name) of \(original)", ["alias", name, original]) {
      (table) throws(CheckpointError) in
      var tensor = try table.tensor(original)
      tensor.descriptor.name = table.prefix + name
      try table.add(tensor)
    }
  }

  /// Adds a value, which must not be there.
  public static func add(_ name: String, value: MetadataValue) -> StateStep {
    StateStep("add \(name)", ["value", name, "\(value.code) \(value.encoded)"]) {
      (table) throws(CheckpointError) in try table.add(name, value)
    }
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
    return StateStep(
      "add \(name), \(dtype.name) \(shape)", ["add", name, dtype.name, "\(shape)", "\(element)"]
    ) { (table) throws(CheckpointError) in
      try table.add(TensorSource(table.descriptor(name, dtype, shape), .repeated(element)))
    }
  }

  /// Takes a tensor apart along an axis, and removes it: fused weights of queries, keys and values, say.
  ///
  /// - Parameters:
  ///   - name: Its name in the scope.
  ///   - parts: The names of the parts, in order; one may be that of the whole.
  ///   - axis: Which dimension is divided, counted from 0.
  ///   - sizes: The parts' lengths along the axis; nil for equal ones.
  /// - Returns: The step.
  public static func split(
    _ name: String, into parts: [String], axis: Int = 0, sizes: [Int]? = nil
  ) -> StateStep {
    let lengths = sizes.map { " of \($0)" } ?? ""
    return StateStep(
      "split \(name) into \(parts) along axis \(axis)\(lengths)",
      ["split", name, "\(axis)", "\(sizes ?? [])"] + parts
    ) {
      (table) throws(CheckpointError) in
      try table.split(name, into: parts, axis: axis, sizes: sizes)
    }
  }

  /// Puts tensors one behind the other along an axis, and removes them.
  ///
  /// - Parameters:
  ///   - parts: The names of the parts, in order, which agree in dtype and in all other dimensions.
  ///   - name: The name of the whole; may be that of a part.
  ///   - axis: Which dimension they are joined along, counted from 0.
  /// - Returns: The step.
  public static func merge(_ parts: [String], into name: String, axis: Int = 0) -> StateStep {
    StateStep(
      "merge \(parts) into \(name) along axis \(axis)", ["merge", name, "\(axis)"] + parts
    ) {
      (table) throws(CheckpointError) in
      try table.merge(parts, into: name, axis: axis)
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
    StateStep("make \(name) of \(inputs.joined(separator: ", "))", nil) {
      (table) throws(CheckpointError) in
      var sources: [TensorSource] = []
      for input in inputs { sources.append(try table.tensor(input)) }
      if (try? table.tensor(name)) != nil { table.noteLoss("what '\(name)' was") }
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
    StateStep("make value \(name)", nil) { (table) throws(CheckpointError) in
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
