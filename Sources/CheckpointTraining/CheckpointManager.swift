public import CheckpointEngine

/// Saves a run's state when it is due, keeps what is wanted, and resumes.
///
/// ```swift
/// let manager = try CheckpointManager(
///   directory: "runs/a", saving: .every(steps: 500), keeping: .last(3))
/// try manager.resume(&trainer, from: .latest)
/// while trainer.step < 10_000 {
///   let loss = trainer.trainStep()
///   try manager.stepCompleted(trainer.step, state: trainer, metrics: ["loss": loss])
/// }
/// try manager.finish()
/// ```
///
/// Not thread-safe: it belongs to the training loop. The trainer need not be Sendable.
public final class CheckpointManager {
  let store: CheckpointStore
  let events = EventHub()
  let space: SpacePolicy
  let keeping: RetentionPolicy
  let failurePolicy: SaveFailurePolicy
  /// What decides how the run goes on besides its state, for the saves to come; a program that takes
  /// something of it from the checkpoint states that after the resume.
  public var contract: ResumeContract
  let stopWatch: StopWatch
  /// Nil where training waits for its saves.
  let background: BackgroundSaver?
  private let busyRule: SaveMode.BusyRule
  var schedule: SaveSchedule
  var health: HealthMonitor
  /// What is wrong with what was measured at the last step.
  var objection: String?
  var hasBegun = false
  /// What the run was begun from, if not from nothing.
  var warmStart = WarmStart()
  /// Whether a restore has begun and the run does not go on from it, or not yet.
  var isRestoredOnly = false
  /// The step of the state that was saved or restored last.
  var savedStep: Int?
  /// Why the last due save is not on disk.
  var unsaved: CheckpointError?
  /// Whether a save is due and waits for the one before to end.
  var isPostponed = false
  /// What a save in the background came to, until a step tells.
  private var untold: SaveResult?

  /// Opens a store; creates its directory if there is none and it is opened for writing.
  ///
  /// Where several processes train together, one saves. The others open the store for reading, resume
  /// the generation that the first one tells them, report their steps in the same way, and save nothing.
  ///
  /// - Parameters:
  ///   - directory: The store.
  ///   - access: For writing, or for reading.
  ///   - saving: When to save.
  ///   - mode: Whether training waits for a save.
  ///   - keeping: Which checkpoints to keep.
  ///   - stopping: What makes the run stop early; handlers are installed only for signals that it
  ///     names.
  ///   - health: What makes a saved state unhealthy.
  ///   - space: What is done about too little room.
  ///   - onSaveFailure: Whether a failed save is reported or thrown.
  ///   - contract: What decides how the run goes on besides its state; kept with each checkpoint and
  ///     compared when a run resumes.
  ///   - options: How files are kept.
  /// - Throws: ``CheckpointError``: `.busy` if another process has it open for writing, or another
  ///   manager of this process watches for signals; `.notFound` if there is nothing to read; `.io`.
  public init(
    directory: String, for access: CheckpointStore.Access = .writing, saving: SavePolicy,
    mode: SaveMode = .blocking, keeping: RetentionPolicy = .all, stopping: StopPolicy = .never,
    checking health: HealthPolicy = .none, space: SpacePolicy = SpacePolicy(),
    onSaveFailure: SaveFailurePolicy = .report, contract: ResumeContract = ResumeContract(),
    options: StoreOptions = StoreOptions()
  ) throws(CheckpointError) {
    let now = options.device.timeSource.monotonic
    // First, so that a signal that arrives while the store is opened is not lost.
    stopWatch = try StopWatch(stopping, path: directory, now: now)
    var options = options
    // What works beside training must not slow it down.
    if mode != .blocking { options.threadPriority = .low }
    store = try CheckpointStore(directory, for: access, options: options)
    schedule = SaveSchedule(saving, now: now)
    switch mode {
    case .blocking: (background, busyRule) = (nil, .wait)
    case .background(let rule): (background, busyRule) = (BackgroundSaver(now: now), rule)
    }
    self.keeping = keeping
    self.space = space
    self.health = HealthMonitor(health)
    failurePolicy = onSaveFailure
    self.contract = contract
  }

  // MARK: Saving

  /// Tells the manager that a training step is complete; saves if that is due.
  ///
  /// A save blocks until the checkpoint is durable, and retention follows it; in the background it
  /// blocks until the state is copied. What a save in the background came to is told by the first
  /// step that is reported after it has ended.
  ///
  /// - Parameters:
  ///   - step: The number of steps completed.
  ///   - epoch: The number of epochs completed, for a policy that counts them.
  ///   - state: What is saved.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What was done.
  /// - Throws: What the state's `save(to:)` throws, unchanged; ``CheckpointError``: `.notEmpty` if
  ///   `resume(_:from:strictness:check:)` was not called and the store has checkpoints; a failed save
  ///   only where that was asked for.
  @discardableResult
  public func stepCompleted(
    _ step: Int, epoch: Int? = nil, state: some Checkpointable, metrics: [String: Double] = [:]
  ) throws -> StepOutcome {
    // First, so that an improvement is not judged by a save that has failed.
    if background?.isBusy == false { settle() }
    let isDue = schedule.completed(step, epoch: epoch, metrics: metrics) || isPostponed
    judge(metrics, isNew: true)
    let expected = schedule.expectedDuration
    if let (reason, left) = stopWatch.request(expecting: expected) {
      events.emit(.stopRequested(reason))
      // A save that waits for room in the background must not take the time that is left.
      background?.hurry()
      // Whatever became of an earlier one: this may be the last chance to save.
      let save = try saveUnlessSaved(state, step, metrics)
      let earlier = try told()
      return .stopRequested(
        StopReport(
          reason: reason, save: save, earlier: earlier,
          expectedSaveDuration: expected.map { .nanoseconds($0) },
          timeLeft: left.map { .nanoseconds($0) }))
    }
    guard store.isWritable else { return .notDue }
    if isDue, background != nil { return try saveInBackground(state, step, metrics) }
    if isDue { return StepOutcome(try saveBlocking(state, step, metrics)) }
    return try told().map(StepOutcome.init) ?? .notDue
  }

  /// Judges what was measured at a step, by what was measured before it.
  func judge(_ metrics: [String: Double], isNew: Bool) {
    objection = health.objection(to: metrics)
    if isNew { health.observe(metrics) }
  }

  private func saveInBackground(
    _ state: some Checkpointable, _ step: Int, _ metrics: [String: Double]
  ) throws -> StepOutcome {
    let start = store.options.device.timeSource.monotonic()
    if busyRule != .wait, background?.isBusy == true {
      isPostponed = busyRule == .postpone
      events.emit(isPostponed ? .postponed(step: step) : .skipped(step: step))
      return isPostponed ? .postponed : .skipped
    }
    // Also where it is not busy: it may have ended since it was looked at last.
    settle()
    isPostponed = false
    if failurePolicy == .stop, case .failed = untold { _ = try told() }
    guard try begin(state, step, metrics, since: start) else {
      // There is no memory for a copy. To wait is better than not to save; what is untold is told by
      // the next step.
      return StepOutcome(try saveBlocking(state, step, metrics))
    }
    let earlier = try told()
    let blocked = store.options.device.timeSource.monotonic() - start
    return .started(SaveStart(step: step, blocked: .nanoseconds(blocked), earlier: earlier))
  }

  /// Why the run should stop, if it should; for a program that is between two steps, or has not
  /// begun.
  public var stopReason: StopReason? {
    stopWatch.request(expecting: schedule.expectedDuration)?.reason
  }

  /// The interval between saves to which a policy of overhead has come; nil without one.
  public var saveInterval: Duration? { schedule.chosenInterval.map { .nanoseconds($0) } }

  /// Gets the memory for copies of a state before the first save in the background needs it.
  ///
  /// Without it the first such save takes longer, by the time the system needs to provide the memory.
  ///
  /// - Parameter state: A state of the size that will be saved.
  /// - Throws: What the state's `save(to:)` throws.
  public func prewarm(_ state: some Checkpointable) throws {
    guard let background, store.isWritable else { return }
    settle()
    _ = background.prepare(byteCount: try StatePlanning.plan(state).byteCount)
  }

  /// Saves now, whether it is due or not, and waits until the checkpoint is durable.
  ///
  /// - Parameters:
  ///   - state: What is saved.
  ///   - step: The number of steps completed.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What became of it.
  /// - Throws: As ``stepCompleted(_:epoch:state:metrics:)``.
  /// - Precondition: `step` is not negative.
  @discardableResult
  public func save(
    _ state: some Checkpointable, step: Int, metrics: [String: Double] = [:]
  ) throws -> SaveResult {
    settle()
    judge(metrics, isNew: step != schedule.lastStep)
    return try saveBlocking(state, step, metrics)
  }

  /// Ends the run's saving, and with it the watch for signals; waits for a save in the background.
  ///
  /// The store stays locked until the manager is released.
  ///
  /// - Throws: ``CheckpointError`` if the last save is not durable: the one that made it fail, or
  ///   `.invalidState` if one is postponed still.
  public func finish() throws(CheckpointError) {
    settle()
    stopWatch.putBack()
    events.end()
    if let unsaved { throw unsaved }
    guard !isPostponed || !store.isWritable else {
      throw CheckpointError(
        .invalidState,
        "A save was due, postponed and never made. End the run with finish(saving:step:metrics:).",
        at: CheckpointError.Location(path: store.path))
    }
  }

  /// Saves the state that the run ends with, unless that is on disk already, and ends the run's
  /// saving.
  ///
  /// - Parameters:
  ///   - state: What is saved.
  ///   - step: The number of steps completed.
  ///   - metrics: Measurements to keep with the checkpoint, by name.
  /// - Returns: What no step has told yet: what a save in the background came to, and this one, if it
  ///   was needed. If the last of them failed, ``finish()`` throws why.
  /// - Throws: As ``stepCompleted(_:epoch:state:metrics:)``.
  @discardableResult
  public func finish(
    saving state: some Checkpointable, step: Int, metrics: [String: Double] = [:]
  ) throws -> [SaveResult] {
    defer {
      stopWatch.putBack()
      events.end()
    }
    judge(metrics, isNew: step != schedule.lastStep)
    let last = try saveUnlessSaved(state, step, metrics)
    let earlier = try told()
    return [earlier, last].compactMap { $0 }
  }

  /// Saves a state with which the run may end, unless that of its step is on disk already.
  private func saveUnlessSaved(
    _ state: some Checkpointable, _ step: Int, _ metrics: [String: Double]
  ) throws -> SaveResult? {
    settle()
    guard store.isWritable else { return nil }
    guard savedStep == step, unsaved == nil else {
      return try saveBlocking(state, step, metrics)
    }
    isPostponed = false
    return nil
  }

  /// What the policy of this manager would keep and remove now, newest first.
  ///
  /// - Returns: One decision for each checkpoint of the store.
  /// - Throws: As ``CheckpointStore/retentionPlan(_:)``.
  public func retentionPlan() throws(CheckpointError) -> [RetentionDecision] {
    settle()
    return try store.retentionPlan(keeping)
  }

  // MARK: What the background has done

  /// Waits for a save in the background, and takes note of what it came to.
  ///
  /// Before this, nothing may use the store.
  func settle() {
    guard let (begun, ended) = background?.end() else { return }
    schedule.stagedMetrics = [:]
    note(ended.result, step: begun.step, metrics: begun.metrics)
    if case .saved = ended.result {
      schedule.saveCompleted(began: begun.start, at: ended.time)
    }
    untold = ended.result
  }

  /// What a save in the background came to, once.
  private func told() throws(CheckpointError) -> SaveResult? {
    defer { untold = nil }
    if failurePolicy == .stop, case .failed(let error)? = untold { throw error }
    return untold
  }
}
