internal import CheckpointEngine
internal import CheckpointFormat

/// Compares what a program would save with what a checkpoint holds, before a byte is restored.
struct StateComparison {
  private let plan: SavePlan
  private let reader: CheckpointReader
  /// Scopes that an older version of the program saved: its own `restore(from:)` understands them.
  private let olderScopes: [String]
  private var findings: [String] = []

  /// Throws `.incompatibleState` listing every difference.
  static func requireMatch(_ plan: SavePlan, _ reader: CheckpointReader) throws(CheckpointError) {
    var comparison = try StateComparison(plan, reader)
    comparison.compareTensors()
    comparison.compareValues()
    guard !comparison.findings.isEmpty else { return }
    throw error(
      reader, "does not fit the program, and nothing was restored", comparison.findings)
  }

  /// Throws `.incompatibleState` listing everything that a restore did not read.
  static func requireComplete(
    _ usage: StateUsage, _ reader: CheckpointReader
  ) throws(CheckpointError) {
    // Reading any name of a tied tensor reads its bytes.
    let entries = reader.index.tensors.entries
    let readNumbers = Set(
      entries.indices.filter { usage.tensors.contains(entries[$0].descriptor.name) }
        .map { entries[$0].aliasOf ?? $0 })
    var forgotten = entries.indices
      .filter { !readNumbers.contains(entries[$0].aliasOf ?? $0) }
      .map { "tensor '\(escaped(entries[$0].descriptor.name))' was not read" }
    for (name, _) in reader.metadata.entries(of: .state) where !usage.values.contains(name) {
      forgotten.append("value '\(escaped(name))' was not read")
    }
    guard !forgotten.isEmpty else { return }
    throw error(reader, "was not restored completely by restore(from:)", forgotten)
  }

  private init(_ plan: SavePlan, _ reader: CheckpointReader) throws(CheckpointError) {
    self.plan = plan
    self.reader = reader
    var older: [String] = []
    for (scope, value) in reader.metadata.entries(of: .stateVersion) {
      guard case .int64(let saved) = value,
        case .int64(let current)? = plan.metadata[.stateVersion, scope]
      else { continue }
      guard saved <= current else {
        throw CheckpointError(
          .incompatibleState,
          "\(escaped(reader.path)) was saved by a newer version of the program: scope "
            + "'\(escaped(scope))' has state version \(saved), this program \(current).",
          at: CheckpointError.Location(path: reader.path))
      }
      if saved < current { older.append(scope) }
    }
    olderScopes = older
  }

  /// Whether a name belongs to a scope whose meaning has changed since.
  private func isExempt(_ name: String) -> Bool {
    olderScopes.contains { $0.isEmpty || name.hasPrefix($0 + "/") }
  }

  private mutating func compareTensors() {
    var planned: Set<String> = []
    for entry in plan.entries {
      let name = entry.descriptor.name
      planned.insert(name)
      guard !isExempt(name) else { continue }
      guard let saved = reader.descriptor(of: name) else {
        findings.append("tensor '\(escaped(name))' is missing from the checkpoint")
        continue
      }
      if saved.dtype != entry.descriptor.dtype || saved.shape != entry.descriptor.shape {
        findings.append(
          "tensor '\(escaped(name))' was saved as \(saved.dtype.name) \(saved.shape), the program "
            + "has \(entry.descriptor.dtype.name) \(entry.descriptor.shape)")
      }
    }
    for saved in reader.tensors where !planned.contains(saved.name) && !isExempt(saved.name) {
      findings.append("tensor '\(escaped(saved.name))' is unknown to the program")
    }
  }

  private mutating func compareValues() {
    for (name, value) in plan.metadata.entries(of: .state) where !isExempt(name) {
      guard let saved = reader.metadata[.state, name] else {
        findings.append("value '\(escaped(name))' is missing from the checkpoint")
        continue
      }
      if saved.typeName != value.typeName {
        findings.append(
          "value '\(escaped(name))' was saved as \(saved.typeName), the program has "
            + "\(value.typeName)")
      }
    }
    for (name, _) in reader.metadata.entries(of: .state)
    where plan.metadata[.state, name] == nil && !isExempt(name) {
      findings.append("value '\(escaped(name))' is unknown to the program")
    }
  }

  private static func error(
    _ reader: CheckpointReader, _ what: String, _ findings: [String]
  ) -> CheckpointError {
    let shown = findings.prefix(50).map { "  " + $0 }
    let rest = findings.count > 50 ? ["  … and \(findings.count - 50) more"] : []
    return CheckpointError(
      .incompatibleState,
      "\(escaped(reader.path)) \(what):\n" + (shown + rest).joined(separator: "\n"),
      at: CheckpointError.Location(path: reader.path))
  }
}

extension MetadataValue {
  fileprivate var typeName: String {
    switch self {
    case .bool: "bool"
    case .int64: "int64"
    case .uint64: "uint64"
    case .float64: "float64"
    case .string: "string"
    case .bytes: "bytes"
    case .json: "json"
    }
  }
}
