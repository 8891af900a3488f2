internal import CheckpointEngine
internal import CheckpointFormat

/// Compares what a program would save with what a checkpoint holds, before a byte is restored.
struct StateComparison {
  private let plan: SavePlan
  private let reader: CheckpointReader
  /// The scopes that program and checkpoint both have, and whether the checkpoint's is older.
  private let isOlder: [StateName: Bool]
  /// The place of each name in the plan.
  private let plannedNumbers: [StateName: Int]
  private var findings: [String] = []

  /// Throws `.incompatibleState` if a scope was saved by a newer version of the program.
  static func requireNotNewer(_ plan: SavePlan, _ reader: CheckpointReader) throws(CheckpointError)
  {
    _ = try StateComparison(plan, reader)
  }

  /// Throws `.incompatibleState` listing every difference.
  static func requireMatch(_ plan: SavePlan, _ reader: CheckpointReader) throws(CheckpointError) {
    var comparison = try StateComparison(plan, reader)
    comparison.compareTensors()
    comparison.compareTies()
    comparison.compareValues()
    guard !comparison.findings.isEmpty else { return }
    throw error(
      reader, "does not fit the program, and nothing was restored", comparison.findings)
  }

  /// Throws `.incompatibleState` listing everything that a restore did not read.
  static func requireComplete(
    _ usage: StateUsage, _ plan: SavePlan, _ reader: CheckpointReader
  ) throws(CheckpointError) {
    let comparison = try StateComparison(plan, reader)
    // Reading any name of a tied tensor reads its bytes.
    let entries = reader.index.tensors.entries
    let readNumbers = Set(
      entries.indices.filter { usage.tensors.contains(StateName(entries[$0].descriptor.name)) }
        .map { entries[$0].aliasOf ?? $0 })
    var forgotten: [String] = []
    for (number, entry) in entries.enumerated()
    where !readNumbers.contains(entry.aliasOf ?? number) {
      guard !comparison.isExempt(entry.descriptor.name) else { continue }
      forgotten.append("tensor '\(escaped(entry.descriptor.name))' was not read")
    }
    for (name, _) in reader.metadata.entries(of: .state)
    where !usage.values.contains(StateName(name)) && !comparison.isExempt(name) {
      forgotten.append("value '\(escaped(name))' was not read")
    }
    guard !forgotten.isEmpty else { return }
    throw error(reader, "was not restored completely by restore(from:)", forgotten)
  }

  private init(_ plan: SavePlan, _ reader: CheckpointReader) throws(CheckpointError) {
    self.plan = plan
    self.reader = reader
    var isOlder: [StateName: Bool] = [:]
    for (scope, value) in reader.metadata.entries(of: .stateVersion) {
      guard case .int64(let saved) = value,
        case .int64(let current)? = plan.metadata[.stateVersion, scope]
      else { continue }
      guard saved <= current else {
        throw CheckpointError(
          .incompatibleState,
          "\(escaped(reader.path)) was saved by a newer version of the program: scope "
            + "'\(escaped(scope))' has state version \(saved), this program \(current). Resume "
            + "with that version, or from an older checkpoint.",
          at: CheckpointError.Location(path: reader.path))
      }
      isOlder[StateName(scope)] = saved < current
    }
    self.isOlder = isOlder
    var numbers: [StateName: Int] = [:]
    for (number, entry) in plan.entries.enumerated() {
      numbers[StateName(entry.descriptor.name)] = number
    }
    plannedNumbers = numbers
  }

  /// Whether a name belongs to a scope whose meaning has changed since: the scope's own
  /// `restore(from:)` understands what an older version saved.
  ///
  /// The innermost scope that both have decides, so that a new version of the trainer does not
  /// make its unchanged parts unchecked.
  private func isExempt(_ name: String) -> Bool {
    var scope = name[...]
    while let slash = scope.utf8.lastIndex(of: UInt8(ascii: "/")) {
      scope = scope[..<slash]
      if let isOlder = isOlder[StateName(String(scope))] { return isOlder }
    }
    return isOlder[StateName("")] ?? false
  }

  private mutating func compareTensors() {
    for entry in plan.entries {
      let name = entry.descriptor.name
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
    for saved in reader.tensors
    where plannedNumbers[StateName(saved.name)] == nil && !isExempt(saved.name) {
      findings.append("tensor '\(escaped(saved.name))' is unknown to the program")
    }
  }

  /// Tied tensors must be tied on both sides: going on with a copy is another training.
  private mutating func compareTies() {
    let saved = reader.index.tensors
    let order = reader.index.nameOrder
    for entry in plan.entries {
      guard let original = entry.aliasOf, !isExempt(entry.descriptor.name) else { continue }
      let originalName = plan.entries[original].descriptor.name
      guard let one = order.tensor(named: entry.descriptor.name, in: saved),
        let other = order.tensor(named: originalName, in: saved),
        saved.entries[one].aliasOf ?? one != saved.entries[other].aliasOf ?? other
      else { continue }
      findings.append(
        "tensor '\(escaped(entry.descriptor.name))' is tied to '\(escaped(originalName))' in the "
          + "program and was saved on its own")
    }
    for entry in saved.entries {
      guard let original = entry.aliasOf, !isExempt(entry.descriptor.name) else { continue }
      let originalName = saved.entries[original].descriptor.name
      guard let one = plannedNumbers[StateName(entry.descriptor.name)],
        let other = plannedNumbers[StateName(originalName)],
        plan.entries[one].aliasOf ?? one != plan.entries[other].aliasOf ?? other
      else { continue }
      findings.append(
        "tensor '\(escaped(entry.descriptor.name))' was saved tied to "
          + "'\(escaped(originalName))' and is not tied in the program")
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
