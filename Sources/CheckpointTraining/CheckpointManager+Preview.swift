internal import CheckpointEngine

extension CheckpointManager {
  /// What `resume(_:from:strictness:check:)` would restore, how it compares, and whether it fits;
  /// restores nothing.
  ///
  /// - Parameters:
  ///   - trainer: What would be restored; it is asked for its plan.
  ///   - source: Where the run would begin.
  ///   - strictness: Whether program and checkpoint must hold exactly the same.
  /// - Returns: The checkpoint with every difference, in its state and in its contract.
  /// - Throws: ``CheckpointError``: as `resume(_:from:strictness:check:)`, but for differences.
  /// - Complexity: Verifies the checkpoint, as a resume does, and loads no tensor.
  public func previewResume(
    of trainer: some Checkpointable, from source: ResumeSource,
    strictness: RestoreStrictness = .exact
  ) throws -> ResumePreview {
    settle()
    let found = try find(source)
    guard let (reader, skipped) = found else {
      return ResumePreview(checkpoint: nil, skipped: [], differences: [], misfit: nil)
    }
    let restoration = try Restoration(of: trainer, strictness)
    var misfit: CheckpointError?
    do throws(CheckpointError) {
      try restoration.check(reader)
    } catch {
      misfit = error
    }
    return ResumePreview(
      checkpoint: ResumedCheckpoint(reader), skipped: skipped,
      differences: contract.compared(with: reader.metadata), misfit: misfit)
  }

  /// The checkpoint that a source names, verified; nil for a fresh run.
  private func find(
    _ source: ResumeSource
  ) throws(CheckpointError) -> (CheckpointReader, [SkippedCheckpoint])? {
    func recovered(
      _ selection: CheckpointSelection, of store: CheckpointStore
    ) throws(CheckpointError) -> (CheckpointReader, [SkippedCheckpoint])? {
      try store.recover(selection).map { ($0.reader, $0.skipped) }
    }
    switch source.kind {
    case .never: return nil
    case .nothing:
      try requireEmpty()
      return nil
    case .latest(let other):
      if let other, try store.isEmpty() { return try find(.path(other)) }
      return try recovered(.latest, of: store)
    case .selected(let selection): return try recovered(selection, of: store)
    case .path(let path):
      if let other = try otherStore(at: path) { return try recovered(.latest, of: other) }
      return (try verifiedFile(at: path), [])
    }
  }
}
