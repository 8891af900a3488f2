public import CheckpointFormat

/// A checkpoint, and where it comes from.
public struct LineageNode: Sendable {
  /// The checkpoint.
  public let entry: StoreEntry
  /// What the run had saved, or was resumed from, before; nil for the first of a run.
  ///
  /// It may be gone.
  public let parent: Identifier?
  /// The nearest ancestor that is still there.
  public let ancestor: Identifier?
  /// Counts the branches of a store from 0: the oldest child of a checkpoint goes on along its branch,
  /// each of the others begins one, and so does what has no ancestor.
  public let branch: Int
  /// Whether the newest checkpoint descends from this one, or is this one.
  public let leadsToNewest: Bool
}

extension CheckpointStore {
  /// Which checkpoint came from which, oldest first.
  ///
  /// A run that is resumed from an earlier checkpoint than its newest begins a branch. What came from
  /// what is known also across checkpoints that retention has removed. Files that cannot be opened, or
  /// were set aside, are left out.
  ///
  /// - Returns: One node for each checkpoint.
  /// - Throws: ``CheckpointError``: `.unreadable`.
  /// - Complexity: Reads the index of each file; compares each with those before it, as far back as what
  ///   it descends from.
  public func lineage() throws(CheckpointError) -> [LineageNode] {
    let candidates = try list().candidates.reversed().filter { $0.problem == nil }
    let members = pool.map(candidates.count) { number in
      let entry = candidates[number]
      return (try? open(entry)).map { Member(entry: entry, reader: $0) }
    }.compactMap(\.self)
    // Oldest first: of a run that was never taken back, each descends from the one before it.
    let ancestors = members.indices.map { number in
      (0..<number).last { members[number].descends(from: members[$0]) }
    }
    var branches: [Int] = []
    var branchCount = 0
    var continued: Set<Int> = []
    for ancestor in ancestors {
      if let ancestor, continued.insert(ancestor).inserted {
        branches.append(branches[ancestor])
      } else {
        branches.append(branchCount)
        branchCount += 1
      }
    }
    var leading: Set<Int> = []
    var next = members.indices.last
    while let number = next {
      leading.insert(number)
      next = ancestors[number]
    }
    return members.indices.map { number in
      LineageNode(
        entry: members[number].entry, parent: members[number].header.parentIdentifier,
        ancestor: ancestors[number].map { members[$0].header.checkpointIdentifier },
        branch: branches[number], leadsToNewest: leading.contains(number))
    }
  }
}

private struct Member {
  let entry: StoreEntry
  let header: CheckpointHeader
  /// What its run had saved before it was taken back to an earlier checkpoint.
  let abandoned: GenerationRanges

  init(entry: StoreEntry, reader: CheckpointReader) {
    self.entry = entry
    header = reader.header
    abandoned = GenerationRanges(recordedIn: reader.metadata)
  }

  func descends(from other: Member) -> Bool {
    other.header.generation < header.generation
      && other.header.runIdentifier == header.runIdentifier
      && !abandoned.contains(other.header.generation)
  }
}
