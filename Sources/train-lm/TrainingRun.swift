internal import CheckpointTraining
internal import CommandLineTool
internal import LanguageModel

/// The loss is no number any more: no step after this one can be right.
struct TrainingDiverged: Error, CustomStringConvertible {
  let step: Int
  let loss: Float

  var description: String {
    "the loss of step \(step) is \(loss): the training has diverged. Resume from an earlier step, "
      + "with a lower --learning_rate."
  }
}

/// The training loop: steps, evaluations, saves, and an event for each.
struct TrainingRun {
  private let options: TrainOptions
  private let trainer: Trainer
  private let manager: CheckpointManager
  private let progress: TrainingProgress
  private let meter = SaveMeter()
  private var evalLoss: Float?
  /// The step after which that was measured.
  private var evalStep: Int?
  /// Of the last step's batch; nil before the first.
  private var lastLoss: Float?

  init(_ options: TrainOptions) throws {
    self.options = options
    let corpus = try Corpus(contentsOf: options.data)
    trainer = try Trainer(configuration: options.configuration, corpus: corpus)
    manager = try CheckpointManager(
      directory: options.outputDirectory, saving: options.saving, mode: options.saveMode,
      keeping: options.keeping, stopping: options.stopping, checking: options.health,
      space: options.space, onSaveFailure: options.onSaveFailure,
      contract: try .trainLM(options, trainer),
      options: StoreOptions(
        threads: options.configuration.threads, lockTimeout: options.lockTimeout,
        writer: "train-lm (\(StoreOptions.libraryName))"))
    progress = TrainingProgress(stepCount: options.configuration.maxSteps, meter)
    listen()
  }

  /// Follows the manager's events: how far a save is, and what a person should know.
  private func listen() {
    guard options.saveMode == .blocking else {
      // The steps that go on meanwhile draw and print it.
      manager.onEvent { [meter] event in meter.note(event) }
      return
    }
    // SAFETY: training waits for each save, so that all events come on the thread that trains, the only
    // one that draws and prints.
    nonisolated(unsafe) let progress = progress
    manager.onEvent { [meter] event in
      meter.note(event)
      if case .progressed = event { unsafe progress.saving() }
      unsafe progress.tellNews()
    }
  }

  /// Trains to the last step; returns false if it was stopped before.
  mutating func run() throws -> Bool {
    describe()
    try resume()
    progress.tellNews()
    if let reason = manager.stopReason {
      // Nothing was trained that would have to be saved.
      try stop(reason, isSaved: true)
      return false
    }
    let stopped: StopReport?
    do {
      stopped = try train()
    } catch {
      saveEmergency(because: error)
      throw error
    }
    if let stopped {
      try stop(stopped.reason, isSaved: stopped.isSaved)
      return false
    }
    try finish()
    return true
  }

  /// Trains to the last step; returns why it was stopped before, if it was.
  private mutating func train() throws -> StopReport? {
    while trainer.step < options.configuration.maxSteps {
      let (loss, learningRate) = trainer.trainStep()
      progress.step(trainer.step, loss: trainer.smoothedLoss, evalLoss: evalLoss)
      if trainer.step % options.loggingSteps == 0 {
        emit(.step(trainer.step, loss: loss, learningRate: learningRate))
      }
      guard loss.isFinite else { throw TrainingDiverged(step: trainer.step, loss: loss) }
      lastLoss = loss
      let isLast = trainer.step == options.configuration.maxSteps
      if trainer.step % options.evalSteps == 0 || isLast { evaluate() }
      if let stopped = try saveIfDue(loss: loss) { return stopped }
    }
    return nil
  }

  /// Leaves what the run has come to, for a person to look at.
  private func saveEmergency(because error: any Error) {
    switch manager.saveEmergency(trainer, step: trainer.step, because: error) {
    case .lastStepIsSaved: break
    case .saved(let receipt):
      emit(.emergency(receipt))
      progress.note("What the run had come to is in \(escaped(receipt.path)).")
    case .isThereAlready(let path):
      progress.note("The run failed at this step before: see \(escaped(path)).")
    case .failed(let error): progress.note("What the run had come to could not be saved. \(error)")
    }
  }

  private func stop(_ reason: StopReason, isSaved: Bool) throws {
    emit(.stopped(trainer.step, reason, isSaved: isSaved))
    progress.note(
      "Stopped after step \(trainer.step): "
        + (reason == .timeLimit ? "the time is up." : "a signal asked for it.")
        + (isSaved ? " Run the same command with --resume_from_checkpoint to go on." : ""))
    try manager.finish()
  }

  private func emit(_ event: Event) {
    progress.clear()
    event.emit()
  }

  private func describe() {
    let parameterCount = trainer.parameters.reduce(0) { $0 + $1.values.count }
    progress.note(
      "Training a GPT of \(parameterCount) parameters on \(trainer.corpus.tokens.count) "
        + "characters of \(escaped(options.data)), \(options.configuration.threads) thread"
        + (options.configuration.threads == 1 ? "." : "s."))
  }

  private mutating func resume() throws {
    let validation = options.validationTolerance.map { tolerance in
      ResumeValidation<Trainer>("eval_loss", within: tolerance) { Double($0.evaluate()) }
    }
    let result = try manager.resume(
      trainer, from: options.resumeSource, check: options.resumeCheck, damaged: options.damaged,
      validating: validation)
    // Unless another one was asked for, the schedule is that of the checkpoint.
    manager.contract.stateSchedule(of: trainer)
    for skipped in result.skipped { progress.note("Skipped: \(skipped.reason.message)") }
    for path in result.setAside { progress.note("Set aside: \(escaped(path))") }
    guard let checkpoint = result.checkpoint else { return try begin() }
    emit(.resumed(checkpoint, result, digest: try stateDigest(of: trainer)))
    progress.note(
      "Resumed after step \(checkpoint.step) from \(escaped(checkpoint.path)); "
        + "\(options.configuration.maxSteps) steps in all.")
    if case .notSaved? = result.validation {
      progress.note("The checkpoint has no eval_loss: the resume was not validated.")
    }
    for difference in result.differences where difference.grade == .changesTrajectory {
      progress.note(
        "This changes the trajectory of the run: \(escaped(difference.name)): "
          + "\(escaped(difference.saved ?? "")) → \(escaped(difference.current ?? ""))")
    }
  }

  /// Begins a fresh run, with the model of another one if that was asked for.
  private func begin() throws {
    emit(.started(seed: options.configuration.seed, maxSteps: options.configuration.maxSteps))
    guard let path = options.initialCheckpoint else { return }
    let report = try manager.warmStart(
      trainer, from: path, restoring: .matching("model/**"))
    emit(.warmStarted(path, report))
    progress.note("Began with the model of \(escaped(path)).")
  }

  private mutating func evaluate() {
    let loss = trainer.evaluate()
    evalLoss = loss
    evalStep = trainer.step
    emit(.eval(trainer.step, loss: loss))
  }

  /// Saves if that is due; returns a report if the run should stop.
  private func saveIfDue(loss: Float) throws -> StopReport? {
    let outcome = try manager.stepCompleted(
      trainer.step, epoch: trainer.sampler.completedEpochs, state: trainer,
      metrics: metrics(loss: loss))
    progress.tellNews()
    switch outcome {
    case .notDue: break
    case .saved(let receipt, let retention): report(.saved(receipt, retention))
    case .failed(let error): report(.failed(error))
    case .started(let start):
      if let earlier = start.earlier { report(earlier) }
      emit(.saveStarted(start))
    case .postponed, .skipped: break
    case .stopRequested(let stopped):
      for result in [stopped.earlier, stopped.save] { if let result { report(result) } }
      return stopped
    }
    return nil
  }

  private func metrics(loss: Float) -> [String: Double] {
    var metrics = ["loss": Double(loss)]
    // A checkpoint has the loss of its own state, or none.
    if let evalLoss, evalStep == trainer.step { metrics["eval_loss"] = Double(evalLoss) }
    return metrics
  }

  private func report(_ result: SaveResult) {
    switch result {
    case .saved(let receipt, let retention):
      emit(.saved(receipt, retention))
      if let reason = receipt.unhealthyReason {
        progress.note("Step \(receipt.step) was saved as unhealthy: \(escaped(reason)).")
      }
    case .failed(let error):
      emit(.saveFailed(trainer.step, error))
      progress.note("A save failed at step \(trainer.step). \(error.message)")
    }
  }

  private mutating func finish() throws {
    if evalLoss == nil { evaluate() }  // The run was complete when it was resumed.
    // What was trained last is saved, whatever the policy. A failure is thrown after the end is told.
    let metrics = lastLoss.map { self.metrics(loss: $0) } ?? [:]
    let results = try manager.finish(saving: trainer, step: trainer.step, metrics: metrics)
    progress.tellNews()
    for result in results { report(result) }
    let entropy = trainer.corpus.unigramEntropy
    let loss = evalLoss ?? .nan
    emit(
      .done(
        trainer.step, evalLoss: loss, unigramEntropy: entropy,
        digest: try stateDigest(of: trainer)))
    let share = (Double(loss) / entropy * 1000).rounded() / 1000
    progress.note(
      "Held-out loss \(loss) nats a character"
        + (share.isFinite ? ", \(share) of the unigram entropy." : "."))
    try manager.finish()
    if options.loadsBestAtEnd { try loadBest() }
  }

  private func loadBest() throws {
    let (metric, direction) = (options.metricForBest, options.bestDirection)
    let result = try manager.restoreBest(trainer, of: metric, direction)
    for skipped in result.skipped { progress.note("Skipped: \(skipped.reason.message)") }
    guard let best = result.checkpoint else { return }
    emit(.bestLoaded(best, metric: metric, digest: try stateDigest(of: trainer)))
    progress.note("The best is step \(best.step), \(escaped(best.path)).")
  }
}
