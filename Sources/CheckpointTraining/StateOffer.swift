internal import CheckpointEngine
internal import CheckpointFormat

/// What a trainer is given to restore itself, and where it comes from.
struct StateOffer {
  private(set) var table: StateTable
  /// What is as the trainer had it.
  private(set) var left: Set<StateName> = []
  var report = RestoreReport()

  init(_ table: StateTable) { self.table = table }

  /// Leaves a part of a checkpoint, and fills in the rest from the trainer.
  ///
  /// - Parameters:
  ///   - selection: What of the checkpoint is wanted.
  ///   - plan: What the trainer would save.
  ///   - live: What it holds of that.
  ///   - isLenient: Whether what is wanted and does not fit stays as the trainer has it.
  /// - Throws: ``CheckpointError``: `.incompatibleState` if nothing is left to be restored, or a scope of
  ///   which a part is wanted has another version.
  mutating func narrow(
    to selection: StateSelection, _ plan: SavePlan, _ live: LiveState, isLenient: Bool
  ) throws(CheckpointError) {
    let part = StatePart(plan, selection)
    try requireVersions(part, plan)
    if isLenient { unify(part, plan) }
    for name in table.names {
      let isKnown = part.knows(name)
      switch (part.contains(name), isKnown) {
      case (false, _): remove(name)
      case (true, true) where !isLenient || fits(name, plan): report.restored.append(name)
      case (true, false) where !isLenient: break  // The comparison that follows lists it.
      case (true, _):
        report.unexpected.append(name)
        remove(name)
      }
    }
    for name in part.names where !table.contains(name) {
      if !part.contains(name) {
        report.left.append(name)
      } else if isLenient {
        report.missing.append(name)
      } else {
        continue  // As above.
      }
      left.insert(StateName(name))
      live.put(name, into: &table)
    }
    // Otherwise the comparison that follows lists what is missing.
    let isListed = !isLenient && (part.names + table.names).contains(where: part.contains)
    guard report.restored.isEmpty, !isListed else { return }
    throw CheckpointError(
      .incompatibleState,
      "Nothing that was asked for is in \(escaped(table.path)) and fits the program: there would be "
        + "nothing to go on from. Check the patterns.",
      at: CheckpointError.Location(path: table.path))
  }

  /// Makes of the names of each tied tensor one: all of them are restored from the same bytes, or none.
  private mutating func unify(_ part: StatePart, _ plan: SavePlan) {
    for names in part.ties {
      let there = names.filter { table.tensors.contains($0) }
      let numbers = Set(there.map { table.tensors[StateName($0)]?.savedNumber })
      // Two that functions make are two, whatever they make.
      let isOne = there.count == 1 || (numbers.count == 1 && numbers.first != .some(nil))
      guard let first = there.first, var tensor = table.tensors[StateName(first)], isOne,
        there.allSatisfy({ fits($0, plan) })
      else {
        // They would be two tensors from now on.
        for name in there where part.contains(name) {
          report.unexpected.append(name)
          remove(name)
        }
        continue
      }
      for name in names {
        tensor.descriptor.name = name
        table.set(tensor, named: name)
      }
    }
  }

  private mutating func remove(_ name: String) {
    table.set(TensorSource?.none, named: name)
    table.set(MetadataValue?.none, named: name)
  }

  private func fits(_ name: String, _ plan: SavePlan) -> Bool {
    if let tensor = table.tensors[StateName(name)] {
      guard let own = plan.descriptor(of: name) else { return false }
      return own.dtype == tensor.descriptor.dtype && own.shape == tensor.descriptor.shape
    }
    return table.values[StateName(name)]?.code == plan.metadata[.state, name]?.code
  }

  /// Requires that each wanted name means in the checkpoint what it means in the program: the innermost
  /// scope that both have is of one version.
  private mutating func requireVersions(
    _ part: StatePart, _ plan: SavePlan
  ) throws(CheckpointError) {
    var current: [StateName: Int] = [:]
    for case (let scope, .int64(let version)) in plan.metadata.entries(of: .stateVersion) {
      current[StateName(scope)] = Int(clamping: version)
    }
    for name in table.names where part.contains(name) {
      let common = name.scopes.first {
        current[StateName($0)] != nil && table.versions[StateName($0)] != nil
      }
      guard let common, let own = current[StateName(common)],
        let saved = table.versions[StateName(common)], own != saved
      else { continue }
      throw CheckpointError(
        .incompatibleState,
        "\(escaped(table.path)) has state version \(saved) of scope '\(escaped(common))', the program "
          + "\(own): a part of it can be restored only if `stateMigrations` says how.",
        at: CheckpointError.Location(path: table.path))
    }
    for (scope, version) in current { table.setVersion(version, of: scope.text) }
  }
}

/// A part of what a trainer would save; of a tied tensor all names belong to it, or none.
private struct StatePart {
  /// The names of all tensors and values of the trainer, in order.
  let names: [String]
  /// The names of each tensor that has several.
  let ties: [[String]]
  private let selection: StateSelection
  private let known: Set<StateName>
  /// The names of tied tensors, and whether they belong to the part.
  private var tied: [StateName: Bool] = [:]

  init(_ plan: SavePlan, _ selection: StateSelection) {
    self.selection = selection
    known = Set(plan.stateNames.map(StateName.init))
    names = known.inOrder
    var groups: [Int: [String]] = [:]
    for (number, entry) in plan.entries.enumerated() where entry.aliasOf != nil {
      let root = entry.aliasOf ?? number
      groups[root, default: [plan.entries[root].descriptor.name]].append(entry.descriptor.name)
    }
    ties = groups.sorted { $0.key < $1.key }.map(\.value)
    for names in ties {
      let isSelected = names.contains { selection.contains($0) }
      for name in names { tied[StateName(name)] = isSelected }
    }
  }

  func knows(_ name: String) -> Bool { known.contains(StateName(name)) }

  func contains(_ name: String) -> Bool { tied[StateName(name)] ?? selection.contains(name) }
}

extension StateTable {
  /// The names of all tensors and values, in order.
  var names: [String] { Set(tensors.keys).union(values.keys).inOrder }

  /// Whether a tensor or a value has that name.
  func contains(_ name: String) -> Bool {
    tensors.contains(name) || values[StateName(name)] != nil
  }
}

extension SavePlan {
  /// The names of all tensors, and then of all values, as they are saved.
  var stateNames: [String] {
    entries.map(\.descriptor.name) + metadata.entries(of: .state).map(\.name)
  }
}

extension String {
  /// The scopes that a name lies in, the innermost first, the whole state last.
  var scopes: [String] {
    var scopes: [String] = []
    var rest = self[...]
    while let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")) {
      rest = rest[..<slash]
      scopes.append(String(rest))
    }
    return scopes + [""]
  }
}
