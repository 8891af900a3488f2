package import CheckpointFormat

/// What a checkpoint holds, by name, and what steps of a migration make of it.
package struct StateTable: Sendable {
  package let path: String
  package private(set) var tensors: StateTensors
  /// The typed values of the state.
  package private(set) var values: [StateName: MetadataValue] = [:]
  /// The versions of the scopes; that of the whole state has the empty name.
  package private(set) var versions: [StateName: Int] = [:]
  /// What cannot be had back from the result, a phrase each.
  package private(set) var losses: [String] = []

  /// Nothing.
  package init(path: String) {
    self.path = path
    tensors = StateTensors()
  }

  /// What a file holds.
  package init(_ reader: CheckpointReader) {
    path = reader.path
    tensors = StateTensors(reader)
    for (name, value) in reader.metadata.entries(of: .state) { values[StateName(name)] = value }
    for case (let name, .int64(let version)) in reader.metadata.entries(of: .stateVersion) {
      versions[StateName(name)] = Int(clamping: version)
    }
  }

  // MARK: Changing it

  package mutating func set(_ tensor: TensorSource?, named name: String) {
    tensors[StateName(name)] = tensor
  }

  package mutating func set(_ value: MetadataValue?, named name: String) {
    values[StateName(name)] = value
  }

  package mutating func setVersion(_ version: Int?, of scope: String) {
    versions[StateName(scope)] = version
  }

  /// Notes that a step loses something.
  mutating func noteLoss(_ phrase: String) { losses.append(phrase) }

  /// Renames a tensor, a value, or a scope with all that is in it.
  ///
  /// - Returns: false if there is nothing of that name.
  mutating func rename(_ name: String, to target: String) throws(CheckpointError) -> Bool {
    let names = Set(tensors.keys).union(values.keys).union(versions.keys)
    let moved = names.compactMap { old -> (StateName, StateName)? in
      if old == StateName(name) { return (old, StateName(target)) }
      guard old.text.utf8.starts(with: (name + "/").utf8) else { return nil }
      let rest = String(decoding: old.text.utf8.dropFirst(name.utf8.count), as: UTF8.self)
      return (old, StateName(target + rest))
    }
    let taken = names.subtracting(moved.map(\.0))
    if let (old, new) = moved.first(where: { taken.contains($0.1) }) {
      throw failure(
        "'\(escaped(old.text))' cannot be called '\(escaped(new.text))', which is there")
    }
    // Taken out first: a name may be moved to where another is moved from.
    let parts = moved.map { old, new in
      (
        new, tensors.removeValue(forKey: old), values.removeValue(forKey: old),
        versions.removeValue(forKey: old)
      )
    }
    for (new, tensor, value, version) in parts {
      if var tensor {
        tensor.descriptor.name = new.text
        tensors[new] = tensor
      }
      if let value { values[new] = value }
      if let version { versions[new] = version }
    }
    return !moved.isEmpty
  }

  /// Removes a tensor, a value, or a scope with all that is in it.
  ///
  /// - Returns: false if there is nothing of that name.
  mutating func drop(_ name: String) -> Bool {
    func isDropped(_ other: StateName) -> Bool {
      other == StateName(name) || other.text.utf8.starts(with: (name + "/").utf8)
    }
    let count = tensors.count + values.count
    for name in tensors.keys where isDropped(name) { tensors[name] = nil }
    values = values.filter { !isDropped($0.key) }
    versions = versions.filter { !isDropped($0.key) }
    return tensors.count + values.count < count
  }

  func failure(_ what: String) -> CheckpointError {
    CheckpointError(
      .incompatibleState, "\(escaped(path)) cannot be migrated: \(what).",
      at: CheckpointError.Location(path: path))
  }
}
