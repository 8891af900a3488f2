internal import CheckpointEngine
internal import CheckpointFormat

/// Compares what a program would save with what a checkpoint holds, before a byte is restored.
struct StateComparison {
  private let plan: SavePlan
  private let table: StateTable
  /// The scopes that program and checkpoint both have, and whether the checkpoint's is older.
  private let isOlder: [StateName: Bool]
  /// The place of each name in the plan, where names are compared.
  private let plannedNumbers: [StateName: Int]
  private var findings: [String] = []

  /// Throws `.incompatibleState` if a scope was saved by a newer version of the program.
  static func requireNotNewer(_ plan: SavePlan, _ table: StateTable) throws(CheckpointError) {
    _ = try olderScopes(plan, table)
  }

  /// Throws `.incompatibleState` listing every difference.
  ///
  /// - Parameters:
  ///   - plan: What the program would save.
  ///   - table: What there is for it.
  ///   - isSame: Whether the tensors are exactly those of the plan, as a rule they are: then nothing has to be
  ///     looked up.
  /// - Throws: ``CheckpointError``.
  static func requireMatch(
    _ plan: SavePlan, _ table: StateTable, haveSameTensors isSame: Bool
  ) throws(CheckpointError) {
    let isOlder = try olderScopes(plan, table)
    var comparison = StateComparison(plan, table, isOlder, numbers: isSame ? [:] : plan.numbers)
    if !isSame {
      comparison.compareTensors()
      comparison.compareTies()
    }
    comparison.compareValues()
    guard !comparison.findings.isEmpty else { return }
    throw error(table, "does not fit the program, and nothing was restored", comparison.findings)
  }

  /// Throws `.incompatibleState` listing everything that a restore did not read.
  ///
  /// - Parameters:
  ///   - usage: What it read.
  ///   - plan: What the program would save.
  ///   - table: What it was given.
  ///   - left: What need not be read, since it is as the program had it.
  /// - Throws: ``CheckpointError``: `.incompatibleState`.
  static func requireComplete(
    _ usage: StateUsage, _ plan: SavePlan, _ table: StateTable, besides left: Set<StateName>
  ) throws(CheckpointError) {
    // Reading any name of a tied tensor reads its bytes.
    let roots = usage.tensors.roots
    let isRead = table.tensors.allAreSaved { roots.indices.contains($0) && roots[$0] }
    let comparison = StateComparison(
      plan, table, try olderScopes(plan, table), numbers: isRead ? [:] : plan.numbers)
    let tensors = isRead ? [] : comparison.tensorsNotRead(usage, besides: left)
    let values = table.values.keys.filter { name in
      !usage.values.contains(name) && !left.contains(name) && !comparison.isExempt(name.text)
    }
    let forgotten =
      tensors.inOrder.map { "tensor '\(escaped($0))' was not read" }
      + values.inOrder.map { "value '\(escaped($0))' was not read" }
    guard !forgotten.isEmpty else { return }
    throw error(table, "was not restored completely by restore(from:)", forgotten)
  }

  /// The tensors that neither were read nor need to be.
  private func tensorsNotRead(_ usage: StateUsage, besides left: Set<StateName>) -> [StateName] {
    let names = usage.tensors.names
    let readNumbers = Set(names.compactMap { table.tensors[$0]?.savedNumber })
    let readRoots = Set(names.compactMap { root(of: $0.text) })
    return table.tensors.keys.filter { name in
      let isRead =
        names.contains(name)
        || (table.tensors[name]?.savedNumber).map(readNumbers.contains) ?? false
        || root(of: name.text).map(readRoots.contains) ?? false
      return !isRead && !left.contains(name) && !isExempt(name.text)
    }
  }

  private init(
    _ plan: SavePlan, _ table: StateTable, _ isOlder: [StateName: Bool], numbers: [StateName: Int]
  ) {
    self.plan = plan
    self.table = table
    self.isOlder = isOlder
    plannedNumbers = numbers
  }

  /// Compares the versions of the scopes that both have; throws if one was saved by a newer program.
  private static func olderScopes(
    _ plan: SavePlan, _ table: StateTable
  ) throws(CheckpointError) -> [StateName: Bool] {
    var isOlder: [StateName: Bool] = [:]
    for scope in table.versions.keys.inOrder {
      guard let saved = table.versions[StateName(scope)],
        case .int64(let current)? = plan.metadata[.stateVersion, scope]
      else { continue }
      guard saved <= current else {
        throw CheckpointError(
          .incompatibleState,
          "\(escaped(table.path)) was saved by a newer version of the program: scope "
            + "'\(escaped(scope))' has state version \(saved), this program \(current). Resume "
            + "with that version, or from an older checkpoint.",
          at: CheckpointError.Location(path: table.path))
      }
      isOlder[StateName(scope)] = saved < current
    }
    return isOlder
  }

  /// Whether a name belongs to a scope whose meaning has changed since: the scope's own
  /// `restore(from:)` understands what an older version saved.
  ///
  /// The innermost scope that both have decides, so that a new version of the trainer does not
  /// make its unchanged parts unchecked.
  private func isExempt(_ name: String) -> Bool {
    name.scopes.lazy.compactMap { isOlder[StateName($0)] }.first ?? false
  }

  private mutating func compareTensors() {
    for entry in plan.entries {
      let name = entry.descriptor.name
      guard !isExempt(name) else { continue }
      guard let saved = table.tensors[StateName(name)]?.descriptor else {
        findings.append("tensor '\(escaped(name))' is missing from the checkpoint")
        continue
      }
      if saved.dtype != entry.descriptor.dtype || saved.shape != entry.descriptor.shape {
        findings.append(
          "tensor '\(escaped(name))' was saved as \(saved.dtype.name) \(saved.shape), the program "
            + "has \(entry.descriptor.dtype.name) \(entry.descriptor.shape)")
      }
    }
    let unknown = table.tensors.keys.filter { plannedNumbers[$0] == nil && !isExempt($0.text) }
    findings += unknown.inOrder.map { "tensor '\(escaped($0))' is unknown to the program" }
  }

  /// Tied tensors must be tied on both sides: going on with a copy is another training.
  private mutating func compareTies() {
    func savedNumber(_ name: String) -> Int? { table.tensors[StateName(name)]?.savedNumber }
    for entry in plan.entries {
      guard let original = entry.aliasOf, !isExempt(entry.descriptor.name) else { continue }
      let originalName = plan.entries[original].descriptor.name
      guard let one = savedNumber(entry.descriptor.name), let other = savedNumber(originalName),
        one != other
      else { continue }
      findings.append(
        "tensor '\(escaped(entry.descriptor.name))' is tied to '\(escaped(originalName))' in the "
          + "program and was saved on its own")
    }
    var firstNames: [Int: String] = [:]
    for entry in plan.entries {
      let name = entry.descriptor.name
      guard !isExempt(name), let number = savedNumber(name) else { continue }
      guard let first = firstNames[number] else {
        firstNames[number] = name
        continue
      }
      if root(of: name) != root(of: first) {
        findings.append(
          "tensor '\(escaped(name))' was saved tied to '\(escaped(first))' and is not tied in the "
            + "program")
      }
    }
  }

  /// The number of the planned tensor whose bytes a name stands for.
  private func root(of name: String) -> Int? {
    plannedNumbers[StateName(name)].map { plan.entries[$0].aliasOf ?? $0 }
  }

  private mutating func compareValues() {
    for (name, value) in plan.metadata.entries(of: .state) where !isExempt(name) {
      guard let saved = table.values[StateName(name)] else {
        findings.append("value '\(escaped(name))' is missing from the checkpoint")
        continue
      }
      if saved.typeName != value.typeName {
        findings.append(
          "value '\(escaped(name))' was saved as \(saved.typeName), the program has "
            + "\(value.typeName)")
      }
    }
    let unknown = table.values.keys.filter {
      plan.metadata[.state, $0.text] == nil && !isExempt($0.text)
    }
    findings += unknown.inOrder.map { "value '\(escaped($0))' is unknown to the program" }
  }

  private static func error(
    _ table: StateTable, _ what: String, _ findings: [String]
  ) -> CheckpointError {
    let shown = findings.prefix(50).map { "  " + $0 }
    let rest = findings.count > 50 ? ["  … and \(findings.count - 50) more"] : []
    return CheckpointError(
      .incompatibleState,
      "\(escaped(table.path)) \(what):\n" + (shown + rest).joined(separator: "\n"),
      at: CheckpointError.Location(path: table.path))
  }
}

extension SavePlan {
  /// The place of each name.
  fileprivate var numbers: [StateName: Int] {
    var numbers: [StateName: Int] = [:]
    for (number, entry) in entries.enumerated() {
      numbers[StateName(entry.descriptor.name)] = number
    }
    return numbers
  }
}
