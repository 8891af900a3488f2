internal import CheckpointFormat

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

  mutating func split(
    _ name: String, into parts: [String], axis: Int, sizes: [Int]?
  ) throws(CheckpointError) {
    let whole = try tensor(name)
    let shape = whole.descriptor.shape
    guard axis >= 0, axis < shape.count else {
      throw failure("'\(escaped(prefix + name))' of shape \(shape) has no axis \(axis)")
    }
    let count = max(parts.count, 1)
    let equal = shape[axis] % count == 0 ? parts.map { _ in shape[axis] / count } : []
    let sizes = sizes ?? equal
    var rest = shape[axis]
    for size in sizes {
      guard size >= 0, size <= rest else { rest = -1; break }
      rest -= size
    }
    guard sizes.count == parts.count, rest == 0, !parts.isEmpty else {
      throw failure(
        "\(shape[axis]) along axis \(axis) cannot be \(parts.count) parts of "
          + (sizes.isEmpty ? "equal length" : "the lengths \(sizes)"))
    }
    table.set(TensorSource?.none, named: prefix + name)
    var start = 0
    for (part, size) in zip(parts, sizes) {
      try requireFree(prefix + part)
      var partShape = shape
      partShape[axis] = size
      replace(
        whole.sliced(
          descriptor(part, whole.descriptor.dtype, partShape), axis: axis, start: start))
      start += size
    }
  }

  mutating func merge(
    _ parts: [String], into name: String, axis: Int
  ) throws(CheckpointError) {
    var sources: [TensorSource] = []
    for part in parts { sources.append(try tensor(part)) }
    guard Set(parts.map { StateName($0) }).count == parts.count else {
      throw failure("a part stands twice among \(parts.map(escaped))")
    }
    guard let first = sources.first?.descriptor, axis >= 0, axis < first.shape.count else {
      throw failure("there is no axis \(axis) to join along")
    }
    var shape = first.shape
    var isLengthNoted = false
    shape[axis] = 0
    for part in sources {
      var other = part.descriptor.shape
      let length = axis < other.count ? other[axis] : 0
      if axis < other.count { other[axis] = first.shape[axis] }
      guard part.descriptor.dtype == first.dtype, other == first.shape else {
        throw failure(
          "'\(escaped(part.descriptor.name))' of \(part.descriptor.dtype.name) and shape "
            + "\(part.descriptor.shape) does not fit \(first.dtype.name) of \(first.shape)")
      }
      shape[axis] = shape[axis].addingReportingOverflow(length).partialValue
      if length != first.shape[axis], !isLengthNoted {
        isLengthNoted = true
        noteLoss("how long the parts of '\(prefix + name)' were")
      }
    }
    for part in parts { table.set(TensorSource?.none, named: prefix + part) }
    let whole = TensorSource(
      descriptor(name, first.dtype, shape), .joined(sources, axis: axis))
    try add(whole)
  }

  mutating func noteLoss(_ phrase: String) { table.noteLoss(phrase) }

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
    for scope in table.versions.keys
    where scope.text.utf8.starts(with: prefix.utf8) && selection.contains(within(scope)) {
      table.setVersion(nil, of: scope.text)
    }
    if !paths.isEmpty { table.noteLoss("\(paths.count) tensors and values are dropped") }
    for path in paths {
      table.set(TensorSource?.none, named: path.text)
      table.set(MetadataValue?.none, named: path.text)
    }
  }

  func require(_ selection: StateSelection) throws(CheckpointError) {
    let all = table.tensors.keys + table.values.keys
    let isThere = all.contains { path in
      path.text.utf8.starts(with: prefix.utf8) && selection.contains(within(path))
    }
    guard isThere else { throw failure("nothing matches '\(escaped("\(selection)"))'") }
  }

  mutating func drop(_ name: String) throws(CheckpointError) {
    guard table.drop(prefix + name) else { throw missing(name) }
    noteLoss("'\(prefix + name)' is dropped")
  }

  mutating func reshape(_ name: String, to shape: [Int]) throws(CheckpointError) {
    var tensor = try tensor(name)
    let before = tensor.byteCount
    tensor.descriptor.shape = shape
    guard tensor.descriptor.checkedByteCount == before else {
      throw failure("'\(escaped(prefix + name))' has another number of elements")
    }
    noteLoss("the shape of '\(prefix + name)'")
    replace(tensor)
  }

  mutating func cast(_ name: String, to dtype: DType) throws(CheckpointError) {
    let tensor = try tensor(name)
    guard tensor.descriptor.dtype != dtype else { return }
    guard TensorCast.isSupported(tensor.descriptor.dtype), TensorCast.isSupported(dtype) else {
      throw failure("\(tensor.descriptor.dtype.name) cannot be converted to \(dtype.name)")
    }
    if !TensorCast.isExact(from: tensor.descriptor.dtype, to: dtype) {
      noteLoss("'\(prefix + name)' is rounded to \(dtype.name)")
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
    if known[name] != nil { noteLoss("what '\(prefix + name)' was") }
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
  var isFloat: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }
}

extension TensorSource {
  /// A part along an axis; of a converted tensor the part is converted, so that no element is twice.
  fileprivate func sliced(
    _ descriptor: TensorDescriptor, axis: Int, start: Int
  ) -> TensorSource {
    guard case .cast(let source) = origin else {
      return TensorSource(descriptor, .slice(self, axis: axis, start: start))
    }
    var inner = descriptor
    inner.dtype = source.descriptor.dtype
    return TensorSource(descriptor, .cast(source.sliced(inner, axis: axis, start: start)))
  }
}
