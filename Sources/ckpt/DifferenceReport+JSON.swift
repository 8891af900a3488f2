internal import CheckpointEngine
internal import CommandLineTool

extension DifferenceReport {
  /// An object for each difference, and a summary.
  var json: [String] {
    var objects = difference.tensors.map(object)
    objects += difference.ties.map { tie in
      .object([
        ("event", .string("tie")), ("schema", .int(1)), ("name", .string(tie.name)),
        ("other", .string(tie.other)), ("tied_in", .string(tie.isTiedOnTheLeft ? "a" : "b")),
      ])
    }
    objects += (isExact ? difference.stateValues : difference.values).map(object)
    return (objects + [summary]).map(\.text)
  }

  private var summary: JSONValue {
    let isSame = difference.isSameState
    return .object([
      ("event", .string("summary")), ("schema", .int(1)), ("same", .bool(isSame)),
      ("a", object(left)), ("b", object(right)),
      ("compared_tensors", .int(Int64(difference.comparedTensorCount))),
      ("compared_bytes", .uint(difference.comparedByteCount)),
      ("different_tensors", .int(Int64(difference.tensors.count))),
      ("different_ties", .int(Int64(difference.ties.count))),
      ("different_state_values", .int(Int64(difference.stateValues.count))),
      ("exit", .int(isSame ? 0 : 1)),
    ])
  }

  private func object(_ reader: CheckpointReader) -> JSONValue {
    .object([
      ("path", .string(reader.path)), ("step", .uint(reader.header.step)),
      ("generation", .uint(reader.header.generation)),
      ("checkpoint_identifier", .string(reader.header.checkpointIdentifier.description)),
    ])
  }

  private func object(_ tensor: CheckpointDifference.Tensor) -> JSONValue {
    let change =
      switch tensor.descriptor.both {
      case nil: tensor.descriptor.left == nil ? "added" : "removed"
      case .some: tensor.isRedescribed ? "described" : "values"
      }
    var fields: [(String, JSONValue)] = [
      ("event", .string("tensor")), ("schema", .int(1)), ("name", .string(tensor.name)),
      ("change", .string(change)), ("a", object(tensor.descriptor.left)),
      ("b", object(tensor.descriptor.right)),
      ("tied", .array(tensor.otherNames.map { .string($0) })),
    ]
    if let elements = tensor.elements, let shape = tensor.descriptor.left?.shape {
      fields += [
        ("elements", .int(Int64(shape.reduce(1, *)))), ("changed", .uint(elements.changedCount)),
        ("not_finite", .uint(elements.notFiniteCount)),
        ("max_abs", elements.absoluteMax.map { .double($0) } ?? .null),
        ("max_rel", elements.relativeMax.map { .double($0) } ?? .null),
        ("max_ulp", elements.stepMax.map { .uint($0) } ?? .null),
      ]
    }
    return .object(fields)
  }

  private func object(_ descriptor: TensorDescriptor?) -> JSONValue {
    guard let descriptor else { return .null }
    return .object([
      ("dtype", .string(descriptor.dtype.name)),
      ("shape", .array(descriptor.shape.map { .int(Int64($0)) })),
    ])
  }

  private func object(_ value: CheckpointDifference.Value) -> JSONValue {
    .object([
      ("event", .string("value")), ("schema", .int(1)), ("domain", .string(value.domain.name)),
      ("name", .string(value.name)), ("a", object(value.value.left)),
      ("b", object(value.value.right)),
    ])
  }

  private func object(_ value: MetadataValue?) -> JSONValue {
    guard let value else { return .null }
    return .object([("type", .string(value.typeName)), ("value", value.json)])
  }
}
