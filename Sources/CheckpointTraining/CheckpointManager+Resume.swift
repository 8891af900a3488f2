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
  ///   - strictness: How much of the checkpoint is restored, and how strictly it must fit.
  ///   - check: Which differences from the checkpoint's contract are refused.
  ///   - damaged: What becomes of damaged checkpoints that were passed over.
  ///   - validation: Measures a metric again, and compares.
  /// - Returns: The checkpoint that was restored, and those that were passed over and why.
  /// - Throws: ``CheckpointError``: `.noIntactCheckpoint`, `.ambiguous`, `.unreadable`,
  ///   `.unsupported`, `.notFound`, `.notEmpty`, `.outOfSpace` if that was asked for, `.unhealthy` if the
  ///   validation fails, or `.incompatibleState` with every difference of the state, or of the contract;
  ///   what the trainer's own functions throw.
  @discardableResult
  public func resume<Trainer: Checkpointable>(
    _ trainer: inout Trainer, from source: ResumeSource, strictness: RestoreStrictness = .exact,
    check: ResumeCheck = .warn, damaged: DamagedPolicy = .leave,
    validating validation: ResumeValidation<Trainer>? = nil
  ) throws -> ResumeResult {
    settle()
    // Asked once: what is looked for is also what is restored.
    let description = looksForSpace ? try StatePlanning.describe(trainer) : nil
    var estimate: SpaceEstimate?
    if let description { estimate = try requireSpace(for: description.plan) }
    let terms = RestoreTerms(strictness: strictness, contract: contract, check: check)
    let plan = ResumePlan(
      terms: terms, damaged: damaged, validation: validation, description: description)
    var result = try resume(&trainer, from: source, plan)
    result.space = estimate
    events.emit(.resumed(result))
    return result
  }

  private func resume<Trainer: Checkpointable>(
    _ trainer: inout Trainer, from source: ResumeSource, _ plan: ResumePlan<Trainer>
  ) throws -> ResumeResult {
    switch source.kind {
    case .nothing, .never:
      try beginFreshRun(source)
      return ResumeResult(checkpoint: nil)
    case .latest(let other):
      if let other, try store.isEmpty() { return try resume(&trainer, at: other, plan) }
      return try resume(&trainer, .latest, of: store, .automatic, plan)
    case .selected(.latestHealthy):
      return try resume(&trainer, .latestHealthy, of: store, .automatic, plan)
    case .selected(let selection):
      return try resume(&trainer, selection, of: store, .deliberate, plan)
    case .path(let path): return try resume(&trainer, at: path, plan)
    }
  }

  /// Restores a trainer that is a class instance.
  ///
  /// - Parameters: As for the inout form.
  ///   - trainer: Is restored in place.
  ///   - source: Where the run begins.
  ///   - strictness: How much of the checkpoint is restored, and how strictly it must fit.
  ///   - check: Which differences from the checkpoint's contract are refused.
  ///   - damaged: What becomes of damaged checkpoints that were passed over.
  ///   - validation: Measures a metric again, and compares.
  /// - Returns: As for the inout form.
  /// - Throws: As for the inout form.
  @discardableResult
  public func resume<Trainer: Checkpointable & AnyObject>(
    _ trainer: Trainer, from source: ResumeSource, strictness: RestoreStrictness = .exact,
    check: ResumeCheck = .warn, damaged: DamagedPolicy = .leave,
    validating validation: ResumeValidation<Trainer>? = nil
  ) throws -> ResumeResult {
    var reference = trainer
    return try resume(
      &reference, from: source, strictness: strictness, check: check, damaged: damaged,
      validating: validation)
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
    let terms = RestoreTerms(strictness: .exact, contract: contract, check: .warn)
    let best = CheckpointSelection.best(metric: metric, direction)
    guard let restored = try restore(&trainer, best, of: store, ResumePlan(terms: terms)) else {
      throw CheckpointError(
        .notFound, "\(escaped(store.path)) holds no checkpoint.",
        at: CheckpointError.Location(path: store.path))
    }
    return ResumeResult(
      checkpoint: ResumedCheckpoint(restored.reader), skipped: restored.skipped,
      restored: restored.report)
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
    _ choice: ResumeChoice, _ plan: ResumePlan<Trainer>
  ) throws -> ResumeResult {
    guard let restored = try restore(&trainer, selection, of: store, plan) else {
      try beginFreshRun(.nothing)
      return ResumeResult(checkpoint: nil)
    }
    let (reader, skipped) = (restored.reader, restored.skipped)
    // What is intact and was passed over is left behind knowingly.
    let isNewest = !skipped.contains { $0.reason.code == .unhealthy }
    continueRun(
      from: reader, choice: isNewest ? choice : .deliberate,
      isWhole: store === self.store && plan.terms.strictness == .exact)
    return ResumeResult(
      checkpoint: ResumedCheckpoint(reader), skipped: skipped,
      differences: contract.compared(with: reader.metadata),
      retention: finishRetention(of: reader), restored: restored.report,
      validation: restored.validation,
      setAside: store === self.store && plan.damaged == .setAside ? setAside(skipped) : [])
  }

  /// A checkpoint that a trainer was restored from.
  private struct Restored {
    let reader: CheckpointReader
    let skipped: [SkippedCheckpoint]
    let report: RestoreReport?
    let validation: ValidationResult?
  }

  /// Tries candidates until one restores completely; nil if the store has none at all.
  private func restore<Trainer: Checkpointable>(
    _ trainer: inout Trainer, _ selection: CheckpointSelection, of store: CheckpointStore,
    _ plan: ResumePlan<Trainer>
  ) throws -> Restored? {
    var rejected: [String: CheckpointError] = [:]
    // Made before anything is restored: half a restore may change what the trainer would save.
    let restoration = try Restoration(of: trainer, plan.terms.strictness, plan.description)
    let check = { (reader: CheckpointReader) throws(CheckpointError) in
      try restoration.check(reader)
      try plan.terms.requireContract(reader)
    }
    while let recovery = try store.recover(selection, passingOver: rejected, checking: check) {
      let reader = recovery.reader
      restoringBegins()
      do {
        let report = try restoration.restore(&trainer, from: reader)
        // After one that did not pass, one that nobody can tell of is no better.
        let isMetricNeeded = rejected.contains { $0.value.code == .unhealthy }
        return Restored(
          reader: reader, skipped: recovery.skipped, report: report,
          validation: try plan.validation?.validate(trainer, reader, isMetricNeeded))
      } catch let error as CheckpointError where plan.mayPassOver(error, of: reader) {
        // It verified a moment ago: the disk is failing under it. Or it is not what it was.
        rejected[recovery.reader.path] = error
      }
    }
    if let (path, reason) = rejected.first {
      throw CheckpointError(
        .noIntactCheckpoint,
        "\(escaped(path)) was given up while it was restored, and no other checkpoint is there. The "
          + "trainer is \(reason.code == .corrupted ? "half restored" : "what did not pass") and must not "
          + "go on. \(reason.message)",
        at: CheckpointError.Location(path: path))
    }
    return nil
  }

  /// Resumes from a file, or from the newest checkpoint of another store.
  private func resume<Trainer: Checkpointable>(
    _ trainer: inout Trainer, at path: String, _ plan: ResumePlan<Trainer>
  ) throws -> ResumeResult {
    if let other = try otherStore(at: path) {
      return try resume(&trainer, .latest, of: other, .deliberate, plan)
    }
    let restoration = try Restoration(of: trainer, plan.terms.strictness, plan.description)
    let reader = try verifiedFile(at: path) { (reader) throws(CheckpointError) in
      try restoration.check(reader)
      try plan.terms.requireContract(reader)
    }
    restoringBegins()
    let report = try restoration.restore(&trainer, from: reader)
    let validation = try plan.validation?.validate(trainer, reader, false)
    continueRun(from: reader, choice: .deliberate, isWhole: false)
    return ResumeResult(
      checkpoint: ResumedCheckpoint(reader),
      differences: contract.compared(with: reader.metadata), restored: report,
      validation: validation)
  }

  /// Renames damaged checkpoints; returns the new paths.
  private func setAside(_ skipped: [SkippedCheckpoint]) -> [String] {
    let damaged = Set(skipped.filter { $0.reason.code == .corrupted }.map(\.path))
    var paths: [String] = []
    for entry in (try? store.entries()) ?? [] where damaged.contains(entry.path) {
      guard entry.role == .candidate, store.isWritable else { continue }
      do throws(CheckpointError) {
        paths.append(try store.setAside(entry))
        events.emit(.setAside(path: entry.path))
      } catch {
        events.emit(.warning(error.message))
      }
    }
    return paths
  }

  /// The store at a path, if there is one; it holds at least one checkpoint.
  func otherStore(at path: String) throws(CheckpointError) -> CheckpointStore? {
    guard let other = try? CheckpointStore(path, for: .reading, options: store.options) else {
      return nil
    }
    guard try !other.isEmpty() else {
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

/// How a trainer is restored.
private struct ResumePlan<Trainer> {
  let terms: RestoreTerms
  var damaged = DamagedPolicy.leave
  var validation: ResumeValidation<Trainer>?
  /// What the trainer would save, if it was asked already.
  var description: StateDescription?

  /// Whether an older checkpoint may be tried after an error of a restore; not if the error is one of
  /// another file that the program has read.
  func mayPassOver(_ error: CheckpointError, of reader: CheckpointReader) -> Bool {
    guard error.location?.path == reader.path else { return false }
    return error.code == .corrupted
      || (error.code == .unhealthy && validation?.onMismatch == .tryOlder)
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
