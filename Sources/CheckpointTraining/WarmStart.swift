internal import CheckpointEngine
internal import CheckpointFormat

/// What a run was begun from that did not begin with nothing.
struct WarmStart {
  private static let name = "warm_started_from"
  /// Of the checkpoints, in the order in which parts of them were taken.
  private var identifiers: String?

  init() {}

  init(recordedIn metadata: Metadata) {
    if case .string(let text)? = metadata[.environment, Self.name] { identifiers = text }
  }

  mutating func add(_ reader: CheckpointReader) {
    let identifier = reader.header.checkpointIdentifier.description
    identifiers = identifiers.map { $0 + " " + identifier } ?? identifier
  }

  func record(in metadata: inout Metadata) {
    metadata[.environment, Self.name] = identifiers.map { .string($0) }
  }
}

extension CheckpointManager {
  /// Begins a fresh run with a part of a checkpoint: the weights of another run, for instance.
  ///
  /// What is not selected stays as the program has it: the optimizer, the step, the position in the data.
  /// Nothing of the other run goes on; that this one began with it stands in each of its checkpoints. Call
  /// it after a resume that began afresh, or instead of one; again for parts of several checkpoints.
  ///
  /// ```swift
  /// if try manager.resume(&trainer, from: .latest).checkpoint == nil {
  ///   try manager.warmStart(&trainer, from: "runs/base", restoring: .matching("model/**"))
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - trainer: Is restored in place, in part.
  ///   - path: A file, or a store of which the newest intact checkpoint is taken.
  ///   - selection: What is restored.
  ///   - misfits: What becomes of what does not fit, or is not in both.
  /// - Returns: What was restored, what is missing, unexpected, and left.
  /// - Throws: ``CheckpointError``: `.notEmpty` if the store has checkpoints and no resume began afresh
  ///   beside them; `.invalidState` if the run has saved or resumed already; as
  ///   `resume(_:from:strictness:check:)` for a path.
  @discardableResult
  public func warmStart<Trainer: Checkpointable>(
    _ trainer: inout Trainer, from path: String, restoring selection: StateSelection,
    misfits: RestoreStrictness.MisfitPolicy = .refuse
  ) throws -> RestoreReport {
    settle()
    guard schedule.lastStep == nil, savedStep == nil, !isRestoredOnly else {
      throw CheckpointError(
        .invalidState, "The run goes on already: it cannot begin with another one's state.",
        at: CheckpointError.Location(path: store.path))
    }
    if !hasBegun {
      if looksForSpace { _ = try requireSpace(for: StatePlanning.plan(trainer)) }
      try beginFreshRun(.nothing)
    }
    let restoration = try Restoration(of: trainer, .selected(selection, misfits: misfits))
    let reader: CheckpointReader
    if let other = try otherStore(at: path) {
      guard
        let recovery = try other.recover(.latest, passingOver: [:], checking: restoration.check)
      else {
        throw CheckpointError(
          .notFound, "\(escaped(path)) holds no checkpoint.",
          at: CheckpointError.Location(path: path))
      }
      reader = recovery.reader
    } else {
      reader = try verifiedFile(at: path, checking: restoration.check)
    }
    restoringBegins()
    let report = try restoration.restore(&trainer, from: reader)
    isRestoredOnly = false
    warmStart.add(reader)
    events.emit(.warmStarted(path: reader.path, report ?? RestoreReport()))
    return report ?? RestoreReport()
  }

  /// Begins a fresh run with a part of a checkpoint, for a trainer that is a class instance.
  ///
  /// - Parameters: As for the inout form.
  ///   - trainer: Is restored in place, in part.
  ///   - path: A file, or a store of which the newest intact checkpoint is taken.
  ///   - selection: What is restored.
  ///   - misfits: What becomes of what does not fit.
  /// - Returns: As for the inout form.
  /// - Throws: As for the inout form.
  @discardableResult
  public func warmStart<Trainer: Checkpointable & AnyObject>(
    _ trainer: Trainer, from path: String, restoring selection: StateSelection,
    misfits: RestoreStrictness.MisfitPolicy = .refuse
  ) throws -> RestoreReport {
    var reference = trainer
    return try warmStart(
      &reference, from: path, restoring: selection, misfits: misfits)
  }
}
