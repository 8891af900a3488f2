internal import CheckpointEngine
internal import CheckpointFormat

extension CheckpointManager {
  /// Restores a trainer from a checkpoint, or begins a fresh run.
  ///
  /// Each candidate must verify byte for byte and fit the program before anything is restored; a
  /// damaged one is passed over in favour of the one before. When this returns a checkpoint, the
  /// trainer is exactly as it was saved. When it throws, the trainer may be half restored and must
  /// not go on; it is never left that way and called fresh.
  ///
  /// - Parameters:
  ///   - trainer: Is restored in place. Everything it will save must exist already, with its final
  ///     shapes: allocate moments before resuming.
  ///   - source: Where the run begins.
  ///   - strictness: Whether program and checkpoint must hold exactly the same.
  ///   - check: Which differences from the checkpoint's contract are refused.
  /// - Returns: The checkpoint that was restored, and those that were passed over and why.
  /// - Throws: ``CheckpointError``: `.noIntactCheckpoint`, `.ambiguous`, `.unreadable`,
  ///   `.unsupported`, `.notFound`, `.notEmpty`, or `.incompatibleState` with every difference of the
  ///   state, or of the contract;
  ///   what the trainer's own functions throw.
  @discardableResult
  public func resume<Trainer: Checkpointable>(
    _ trainer: inout Trainer, from source: ResumeSource, strictness: RestoreStrictness = .exact,
    check: ResumeCheck = .warn
  ) throws -> ResumeResult {
    settle()
    let terms = RestoreTerms(strictness: strictness, contract: contract, check: check)
    switch source.kind {
    case .nothing, .never:
      try beginFreshRun(source)
      return ResumeResult(checkpoint: nil)
    case .latest(let other):
      if let other, try store.entries().isEmpty {
        return try resume(&trainer, at: other, terms)
      }
      return try resume(&trainer, .latest, of: store, .automatic, terms)
    case .selected(let selection):
      return try resume(&trainer, selection, of: store, .deliberate, terms)
    case .path(let path): return try resume(&trainer, at: path, terms)
    }
  }

  /// Restores a trainer that is a class instance.
  ///
  /// - Parameters: As for the inout form.
  ///   - trainer: Is restored in place.
  ///   - source: Where the run begins.
  ///   - strictness: Whether program and checkpoint must hold exactly the same.
  ///   - check: Which differences from the checkpoint's contract are refused.
  /// - Returns: As for the inout form.
  /// - Throws: As for the inout form.
  @discardableResult
  public func resume<Trainer: Checkpointable & AnyObject>(
    _ trainer: Trainer, from source: ResumeSource, strictness: RestoreStrictness = .exact,
    check: ResumeCheck = .warn
  ) throws -> ResumeResult {
    var reference = trainer
    return try resume(
      &reference, from: source, strictness: strictness, check: check)
  }

  /// Restores the trainer from the checkpoint with the best value of a metric, at the end of a run.
  ///
  /// The run does not go on from it: after this nothing is saved any more. To train on from the best
  /// checkpoint, resume from it.
  ///
  /// - Parameters:
  ///   - trainer: Is restored in place.
  ///   - metric: The metric's name.
  ///   - direction: Which values are better.
  /// - Returns: The checkpoint, and those that were passed over and why.
  /// - Throws: As `resume(_:from:strictness:check:)`; `.notFound` if no checkpoint has the metric.
  public func restoreBest<Trainer: Checkpointable>(
    _ trainer: inout Trainer, of metric: String, _ direction: MetricDirection
  ) throws -> ResumeResult {
    settle()
    guard
      let (reader, skipped) = try restore(
        &trainer, .best(metric: metric, direction), of: store,
        RestoreTerms(strictness: .exact, contract: contract, check: .warn))
    else {
      throw CheckpointError(
        .notFound, "\(escaped(store.path)) holds no checkpoint.",
        at: CheckpointError.Location(path: store.path))
    }
    return ResumeResult(checkpoint: ResumedCheckpoint(reader), skipped: skipped)
  }

  /// Restores a trainer that is a class instance from the best checkpoint.
  ///
  /// - Parameters: As for the inout form.
  ///   - trainer: Is restored in place.
  ///   - metric: The metric's name.
  ///   - direction: Which values are better.
  /// - Returns: As for the inout form.
  /// - Throws: As for the inout form.
  public func restoreBest<Trainer: Checkpointable & AnyObject>(
    _ trainer: Trainer, of metric: String, _ direction: MetricDirection
  ) throws -> ResumeResult {
    var reference = trainer
    return try restoreBest(&reference, of: metric, direction)
  }

  private func resume<Trainer: Checkpointable>(
    _ trainer: inout Trainer, _ selection: CheckpointSelection, of store: CheckpointStore,
    _ choice: ResumeChoice, _ terms: RestoreTerms
  ) throws -> ResumeResult {
    guard let (reader, skipped) = try restore(&trainer, selection, of: store, terms) else {
      try beginFreshRun(.nothing)
      return ResumeResult(checkpoint: nil)
    }
    continueRun(
      from: reader, choice: choice,
      isWhole: store === self.store && terms.strictness == .exact)
    return ResumeResult(
      checkpoint: ResumedCheckpoint(reader), skipped: skipped,
      differences: contract.compared(with: reader.metadata),
      retention: finishRetention(of: reader))
  }

  /// Tries candidates until one restores completely; nil if the store has none at all.
  private func restore<Trainer: Checkpointable>(
    _ trainer: inout Trainer, _ selection: CheckpointSelection, of store: CheckpointStore,
    _ terms: RestoreTerms
  ) throws -> (CheckpointReader, [SkippedCheckpoint])? {
    var rejected: [String: CheckpointError] = [:]
    // Made before anything is restored: half a restore may change what the trainer would save.
    let restoration = try Restoration(of: trainer, terms)
    let check = { (reader: CheckpointReader) throws(CheckpointError) in
      try restoration.check(reader)
    }
    while let recovery = try store.recover(selection, passingOver: rejected, checking: check) {
      restoringBegins()
      do {
        try restoration.restore(&trainer, from: recovery.reader)
      } catch let error as CheckpointError where error.code == .corrupted {
        // It verified a moment ago: the disk is failing under it.
        rejected[recovery.reader.path] = error
        continue
      }
      return (recovery.reader, recovery.skipped)
    }
    if let (path, reason) = rejected.first {
      throw CheckpointError(
        .noIntactCheckpoint,
        "\(escaped(path)) turned out to be damaged while it was restored, and no other checkpoint "
          + "is there. The trainer is half restored and must not go on. \(reason.message)",
        at: CheckpointError.Location(path: path))
    }
    return nil
  }

  /// Resumes from a file, or from the newest checkpoint of another store.
  private func resume<Trainer: Checkpointable>(
    _ trainer: inout Trainer, at path: String, _ terms: RestoreTerms
  ) throws -> ResumeResult {
    if let other = try otherStore(at: path) {
      return try resume(&trainer, .latest, of: other, .deliberate, terms)
    }
    let restoration = try Restoration(of: trainer, terms)
    let reader = try verifiedFile(at: path, checking: restoration.check)
    restoringBegins()
    try restoration.restore(&trainer, from: reader)
    continueRun(from: reader, choice: .deliberate, isWhole: false)
    return ResumeResult(
      checkpoint: ResumedCheckpoint(reader),
      differences: contract.compared(with: reader.metadata))
  }

  /// The store at a path, if there is one; it holds at least one checkpoint.
  func otherStore(at path: String) throws(CheckpointError) -> CheckpointStore? {
    guard let other = try? CheckpointStore(path, for: .reading, options: store.options) else {
      return nil
    }
    guard try !other.entries().isEmpty else {
      throw CheckpointError(
        .notFound, "\(escaped(path)) holds no checkpoint.",
        at: CheckpointError.Location(path: path))
    }
    return other
  }

  /// The file at a path, every byte of it verified.
  func verifiedFile(
    at path: String, checking check: (CheckpointReader) throws(CheckpointError) -> Void = { _ in }
  ) throws(CheckpointError) -> CheckpointReader {
    let options = store.options
    let reader = try CheckpointReader.open(
      path: path, on: options.device, limits: options.limits, threads: options.threads)
    try check(reader)
    if let finding = reader.verify(.full).findings.first { throw finding }
    return reader
  }
}

extension ResumedCheckpoint {
  init(_ reader: CheckpointReader) {
    path = reader.path
    step = Int(clamping: reader.header.step)
    generation = reader.header.generation
    metrics = reader.metadata.metrics
    metricHistory = MetricHistory(recordedIn: reader.metadata).values
  }
}
