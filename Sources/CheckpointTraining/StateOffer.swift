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
  /// - Throws: ``CheckpointError``: `.incompatibleState` if a scope of which a part is wanted has another
  ///   version.
  mutating func narrow(
    to selection: StateSelection, _ plan: SavePlan, _ live: LiveState, isLenient: Bool
  ) throws(CheckpointError) {
    try requireVersions(selection, plan)
    let planned = plan.stateNames
    for name in table.names {
      let isUnknown = !planned.contains(StateName(name))
      if selection.contains(name), !isUnknown, !isLenient || fits(name, plan) {
        report.restored.append(name)
      } else if selection.contains(name), isUnknown ? isLenient : true {
        report.unexpected.append(name)
        remove(name)
      } else if !selection.contains(name) {
        remove(name)
      }
    }
    for name in planned.inOrder where !isThere(name) {
      if !selection.contains(name) {
        report.left.append(name)
      } else if isLenient {
        report.missing.append(name)
      } else {
        continue  // The comparison that follows lists it.
      }
      left.insert(StateName(name))
      live.put(name, into: &table)
    }
  }

  private mutating func remove(_ name: String) {
    table.set(TensorSource?.none, named: name)
    table.set(MetadataValue?.none, named: name)
  }

  private func isThere(_ name: String) -> Bool {
    table.tensors[StateName(name)] != nil || table.values[StateName(name)] != nil
  }

  private func fits(_ name: String, _ plan: SavePlan) -> Bool {
    if let tensor = table.tensors[StateName(name)] {
      guard let own = plan.descriptor(of: name) else { return false }
      return own.dtype == tensor.descriptor.dtype && own.shape == tensor.descriptor.shape
    }
    return table.values[StateName(name)]?.code == plan.metadata[.state, name]?.code
  }

  /// The parts of a scope cannot be of two versions.
  private mutating func requireVersions(
    _ selection: StateSelection, _ plan: SavePlan
  ) throws(CheckpointError) {
    for (scope, value) in plan.metadata.entries(of: .stateVersion) {
      guard case .int64(let current) = value else { continue }
      let prefix = scope.isEmpty ? "" : scope + "/"
      if let saved = table.versions[StateName(scope)], saved != Int(clamping: current),
        table.names.contains(where: { $0.utf8.starts(with: prefix.utf8) && selection.contains($0) })
      {
        throw CheckpointError(
          .incompatibleState,
          "\(escaped(table.path)) has state version \(saved) of scope '\(escaped(scope))', the "
            + "program \(current): a part of it can be restored only if `stateMigrations` says how.",
          at: CheckpointError.Location(path: table.path))
      }
      table.setVersion(Int(clamping: current), of: scope)
    }
  }
}

extension StateTable {
  /// The names of all tensors and values, in order.
  var names: [String] { Set(tensors.keys).union(values.keys).inOrder }
}

extension SavePlan {
  /// The names of all tensors and values.
  var stateNames: Set<StateName> {
    Set(entries.map { StateName($0.descriptor.name) })
      .union(metadata.entries(of: .state).map { StateName($0.name) })
  }
}
