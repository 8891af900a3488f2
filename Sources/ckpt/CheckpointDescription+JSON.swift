internal import CheckpointEngine
internal import CommandLineTool

extension CheckpointDescription {
  /// What `ckpt show --json` prints: an object of the checkpoint, then one for each tensor.
  static func json(
    _ checkpoint: NamedCheckpoint, _ tensors: [TensorSummary], _ statistics: [TensorStatistics]?
  ) -> [String] {
    let objects = tensors.indices.map { number in
      object(tensors[number], statistics?[number])
    }
    return ([object(checkpoint)] + objects).map(\.text)
  }

  private static func object(_ checkpoint: NamedCheckpoint) -> JSONValue {
    let reader = checkpoint.reader
    let header = reader.header
    let values = Metadata.Domain.allCases.flatMap { domain in
      reader.metadata.entries(of: domain).map { name, value in
        JSONValue.object([
          ("domain", .string(domain.name)), ("name", .string(name)),
          ("type", .string(value.typeName)), ("value", value.json),
        ])
      }
    }
    return .object([
      ("event", .string("checkpoint")), ("schema", .int(1)), ("path", .string(reader.path)),
      ("format_version", .uint(UInt64(header.formatVersion.rawValue))),
      ("step", .uint(header.step)), ("generation", .uint(header.generation)),
      ("saved_at_nanoseconds", .int(header.savedAt)), ("writer", .string(header.writer)),
      ("bytes", .uint(reader.byteCount)), ("state_bytes", .uint(reader.stateByteCount)),
      ("chunk_bytes", .int(Int64(header.chunkByteCount))),
      ("tensors", .int(Int64(reader.tensorCount))),
      ("checkpoint_identifier", .string(header.checkpointIdentifier.description)),
      ("save_identifier", .string(header.saveIdentifier.description)),
      ("run_identifier", .string(header.runIdentifier.description)),
      ("parent_identifier", header.parentIdentifier.map { .string($0.description) } ?? .null),
      ("branch_points", .array(header.branchPoints.map(object))),
      ("pinned", checkpoint.entry.map { .bool($0.isPinned) } ?? .null),
      ("unhealthy", reader.metadata.unhealthyReason.map { .string($0) } ?? .null),
      ("emergency", reader.metadata.emergencyReason.map { .string($0) } ?? .null),
      ("problem", checkpoint.entry?.problem.map { .string($0.message) } ?? .null),
      ("values", .array(values)),
    ])
  }

  private static func object(_ point: CheckpointHeader.BranchPoint) -> JSONValue {
    .object([
      ("step", .uint(point.step)), ("generation", .uint(point.generation)),
      ("checkpoint_identifier", .string(point.identifier.description)),
    ])
  }

  private static func object(_ tensor: TensorSummary, _ statistics: TensorStatistics?) -> JSONValue
  {
    let descriptor = tensor.descriptor
    var fields: [(String, JSONValue)] = [
      ("event", .string("tensor")), ("schema", .int(1)), ("name", .string(descriptor.name)),
      ("dtype", .string(descriptor.dtype.name)),
      ("shape", .array(descriptor.shape.map { .int(Int64($0)) })),
      ("bytes", .uint(tensor.byteCount)), ("stored_bytes", .uint(tensor.storedByteCount)),
      ("alias_of", tensor.aliasOf.map { .string($0) } ?? .null),
    ]
    if let statistics {
      let isWide = descriptor.dtype == .float64
      fields += [
        ("numbers", .uint(statistics.count)), ("min", statistics.minimum.json(isWide)),
        ("max", statistics.maximum.json(isWide)),
        ("mean", statistics.mean.map { .double($0) } ?? .null),
        ("l2_norm", .double(statistics.norm)), ("nan", .uint(statistics.nanCount)),
        ("infinite", .uint(statistics.infinityCount)), ("zero", .uint(statistics.zeroCount)),
      ]
    }
    return .object(fields)
  }
}

extension TensorStatistics.Number? {
  /// With the digits that the dtype has.
  fileprivate func json(_ isWide: Bool) -> JSONValue {
    switch self {
    case .signed(let value): .int(value)
    case .unsigned(let value): .uint(value)
    case .real(let value): isWide ? .double(value) : .float(Float(value))
    case nil: .null
    }
  }
}
