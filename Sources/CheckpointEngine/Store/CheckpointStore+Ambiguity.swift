internal import CheckpointFormat

#if Mutants
  internal import CheckpointMutants
#endif

// The newest checkpoint must be one checkpoint. It is not if two intact files claim one generation,
// or if files of another run are there that the newest one's run did not know of: somebody mixed
// two stores, and only a person can say which one is meant.

extension CheckpointStore {
  /// Throws `.ambiguous` if another candidate could be meant as well as `chosen`.
  func requireUnambiguous(
    _ chosen: CheckpointReader, among candidates: [StoreEntry]
  ) throws(CheckpointError) {
    #if Mutants
      if Mutant.isActive(.ambiguityOverlooked) { return }
    #endif
    var rivals = foreignEntries(
      of: chosen.header.runIdentifier, after: chosen.header.supersededGeneration,
      among: candidates)
    for entry in candidates where entry.header?.generation == chosen.header.generation {
      guard entry.header?.saveIdentifier != chosen.header.saveIdentifier else { continue }
      if case .intact(let reader) = try examine(entry), !reader.isSameCheckpoint(as: chosen),
        !rivals.contains(where: { $0.name == entry.name })
      {
        rivals.append(entry)
      }
    }
    guard !rivals.isEmpty else { return }
    let lines = ([chosen.path] + rivals.map(\.path)).map { "  \(escaped($0))\n" }.joined()
    throw CheckpointError(
      .ambiguous,
      "\(escaped(path)) holds checkpoints of more than one run, and nothing says which one goes "
        + "on:\n\(lines)Name one by its path (retention then takes the others for the past), or "
        + "move the others away. Nothing was removed.",
      at: CheckpointError.Location(path: path))
  }

  /// Entries of other runs that are newer than what `run` knowingly left behind.
  func foreignEntries(
    of run: Identifier, after supersededGeneration: UInt64, among entries: [StoreEntry]
  ) -> [StoreEntry] {
    entries.filter { entry in
      guard let header = entry.header, entry.role == .candidate else { return false }
      return header.runIdentifier != run && header.generation > supersededGeneration
    }
  }

  /// Whether two entries that are different checkpoints bear one generation.
  func hasSharedGeneration(_ entries: [StoreEntry]) -> Bool {
    var checkpoints: [UInt64: Identifier] = [:]
    for case let header? in entries.map(\.header) {
      let identifier = header.checkpointIdentifier
      if let other = checkpoints.updateValue(identifier, forKey: header.generation),
        other != identifier
      {
        return true
      }
    }
    return false
  }
}

extension CheckpointReader {
  /// Whether two files are one checkpoint: copies, or one of them migrated and nothing lost by it.
  ///
  /// A store that holds copies has both for as long as it is being migrated.
  fileprivate func isSameCheckpoint(as other: CheckpointReader) -> Bool {
    guard header.checkpointIdentifier == other.header.checkpointIdentifier else { return false }
    let (mine, others) = (metadata.migrations, other.metadata.migrations)
    // What both went through before they were copied says nothing of how they differ.
    let common = zip(mine, others).prefix { $0 == $1 }.count
    return (mine.dropFirst(common) + others.dropFirst(common)).allSatisfy(\.isLossless)
  }
}
