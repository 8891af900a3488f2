internal import CheckpointTraining
internal import CommandLineTool
internal import LanguageModel

/// The training loop: steps, evaluations, saves, and an event for each.
struct TrainingRun {
  private let options: TrainOptions
  private let trainer: Trainer
  private let manager: CheckpointManager
  private let progress: TrainingProgress
  private var evalLoss: Float?
  /// The step of the newest checkpoint of this run.
  private var savedStep: Int?

  init(_ options: TrainOptions) throws {
    self.options = options
    let corpus = try Corpus(contentsOf: options.data)
    trainer = try Trainer(configuration: options.configuration, corpus: corpus)
    manager = try CheckpointManager(
      directory: options.outputDirectory, saving: .every(steps: options.saveSteps),
      keeping: options.saveTotalLimit.map { .last($0) } ?? .all,
      options: StoreOptions(
        threads: options.configuration.threads, lockTimeout: options.lockTimeout,
        writer: "train-lm (\(StoreOptions.libraryName))"))
    progress = TrainingProgress(stepCount: options.configuration.maxSteps)
  }

  /// Trains to the last step.
  mutating func run() throws {
    describe()
    try resume()
    while trainer.step < options.configuration.maxSteps {
      let (loss, learningRate) = trainer.trainStep()
      progress.step(trainer.step, loss: trainer.smoothedLoss, evalLoss: evalLoss)
      if trainer.step % options.loggingSteps == 0 {
        emit(.step(trainer.step, loss: loss, learningRate: learningRate))
      }
      if trainer.step % options.evalSteps == 0 { evaluate() }
      try saveIfDue(loss: loss)
    }
    try finish()
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
    let result = try manager.resume(trainer, from: options.resumeSource)
    for warning in result.retention.warnings { progress.note(warning) }
    for skipped in result.skipped { progress.note("Skipped: \(skipped.reason.message)") }
    guard let checkpoint = result.checkpoint else {
      emit(
        .started(seed: options.configuration.seed, maxSteps: options.configuration.maxSteps))
      return
    }
    savedStep = checkpoint.step
    emit(.resumed(checkpoint, result, digest: try stateDigest(of: trainer)))
    progress.note(
      "Resumed after step \(checkpoint.step) from \(escaped(checkpoint.path)); "
        + "\(options.configuration.maxSteps) steps in all.")
    guard let saved = trainer.savedConfiguration else { return }
    for difference in options.configuration.differences(from: saved) {
      progress.note("This changes the trajectory of the run: \(difference)")
    }
  }

  private mutating func evaluate() {
    let loss = trainer.evaluate()
    evalLoss = loss
    emit(.eval(trainer.step, loss: loss))
  }

  private mutating func saveIfDue(loss: Float) throws {
    report(try manager.stepCompleted(trainer.step, state: trainer, metrics: metrics(loss: loss)))
  }

  private func metrics(loss: Float) -> [String: Double] {
    var metrics = ["loss": Double(loss)]
    if let evalLoss { metrics["eval_loss"] = Double(evalLoss) }
    return metrics
  }

  private mutating func report(_ outcome: StepOutcome) {
    switch outcome {
    case .notDue: break
    case .saved(let receipt, let retention):
      savedStep = trainer.step
      emit(.saved(receipt, retention))
      for warning in retention.warnings { progress.note(warning) }
    case .failed(let error):
      emit(.saveFailed(trainer.step, error))
      progress.note("The save after step \(trainer.step) failed. \(error.message)")
    }
  }

  private mutating func finish() throws {
    if trainer.step % options.evalSteps != 0 || evalLoss == nil { evaluate() }
    // What was trained last is saved, whatever the interval.
    if savedStep != trainer.step {
      report(
        try manager.save(
          trainer, step: trainer.step, metrics: metrics(loss: trainer.smoothedLoss)))
    }
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
  }
}
