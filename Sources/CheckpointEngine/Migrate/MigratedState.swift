internal import CheckpointFormat

/// A state as a migrated file will hold it.
struct MigratedState {
  /// One tensor of the result that has bytes of its own.
  struct Part {
    let source: TensorSource
    /// Its number in the result.
    let number: Int
    /// Its number in the file it comes from, if it is that tensor byte for byte.
    let savedNumber: Int?
  }

  let plan: SavePlan
  /// In the order of the plan.
  let parts: [Part]
  /// What cannot be had back from the result, a phrase each.
  let losses: [String]

  /// Applies the steps of a plan to what a file holds.
  ///
  /// - Throws: ``CheckpointError``: `.incompatibleState` if a step does not fit, `.invalidState`.
  init(_ plan: MigrationPlan, of reader: CheckpointReader) throws(CheckpointError) {
    var table = StateTable(reader)
    for step in plan.steps { try table.apply(step, in: "") }
    losses = table.losses

    var save = SavePlan()
    var parts: [Part] = []
    var owners: [TieKey: Int] = [:]
    for tensor in Self.ordered(table) {
      let key = TieKey(tensor)
      let owner = owners[key]
      try save.append(
        keepingName: SavePlan.Entry(descriptor: tensor.descriptor, aliasOf: owner))
      guard owner == nil else { continue }
      let number = save.entries.count - 1
      owners[key] = number
      parts.append(
        Part(
          source: tensor, number: number,
          savedNumber: tensor.isAsSaved ? tensor.savedNumber : nil))
    }
    if !plan.steps.isEmpty { try Self.requireDistinct(save, of: reader) }
    save.metadata = Self.metadata(of: reader, table)
    save.metadata.record(
      MigrationRecord(of: plan, from: reader.header, isLossless: losses.isEmpty))
    self.plan = save
    self.parts = parts
  }

  /// Tensors of the file in its order, then the others by name.
  private static func ordered(_ table: StateTable) -> [TensorSource] {
    let tensors = table.tensors.keys.compactMap { name -> (place: Int, source: TensorSource)? in
      guard let found = table.tensors.find(name.text) else { return nil }
      switch found {
      // An alias has the place that it has in the file.
      case .saved(_, let number): return (number, found.source)
      case .made(let source): return (source.savedNumber ?? .max, source)
      }
    }
    return tensors.sorted { left, right in
      if left.place != right.place { return left.place < right.place }
      return left.source.descriptor.name.utf8.lexicographicallyPrecedes(
        right.source.descriptor.name.utf8)
    }.map(\.source)
  }

  /// No step may make names that only look different; what a file had already, it keeps.
  private static func requireDistinct(
    _ plan: SavePlan, of reader: CheckpointReader
  ) throws(CheckpointError) {
    var names: [String: String] = [:]
    for entry in plan.entries {
      let name = entry.descriptor.name
      guard let other = names.updateValue(name, forKey: name) else { continue }
      if reader.descriptor(of: name) != nil, reader.descriptor(of: other) != nil { continue }
      throw CheckpointError(
        .incompatibleState,
        "\(escaped(reader.path)) cannot be migrated: two tensor names would look the same and differ "
          + "only in their Unicode normal form: '\(escaped(name))'.",
        at: CheckpointError.Location(path: reader.path))
    }
  }

  /// What stood in the file beside the tensors, with the values that the steps have left.
  private static func metadata(of reader: CheckpointReader, _ table: StateTable) -> Metadata {
    var metadata = reader.metadata
    for (name, _) in metadata.entries(of: .state) { metadata[.state, name] = nil }
    for (name, _) in metadata.entries(of: .stateVersion) { metadata[.stateVersion, name] = nil }
    for (name, value) in table.values { metadata[.state, name.text] = value }
    for (name, version) in table.versions {
      metadata[.stateVersion, name.text] = .int64(Int64(version))
    }
    return metadata
  }
}

/// What tied tensors have in common: they are the same tensor of the file, or of a step, and went the same
/// way since.
private struct TieKey: Hashable {
  let number: Int?
  let token: ObjectIdentifier?
  let dtypes: [DType]
  let shape: [Int]

  init(_ tensor: TensorSource) {
    var root = tensor
    var dtypes = [tensor.descriptor.dtype]
    while case .cast(let source) = root.origin {
      dtypes.append(source.descriptor.dtype)
      root = source
    }
    number = root.savedNumber
    token = root.token.map { ObjectIdentifier($0) }
    self.dtypes = dtypes
    shape = tensor.descriptor.shape
  }
}

extension TensorSource {
  /// Whether it is a tensor of a file byte for byte, under whatever name and in whatever shape.
  var isAsSaved: Bool {
    if case .saved = origin { return true }
    return false
  }
}
