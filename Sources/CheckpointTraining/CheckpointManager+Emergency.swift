public import CheckpointEngine
internal import CheckpointFormat

/// What became of the state of a run that fails.
public enum EmergencyResult: Sendable {
  /// The state after the last step that was reported is in an ordinary checkpoint: a resume goes on from
  /// there.
  case lastStepIsSaved(step: Int)
  /// The state of now was saved as `….ckpt.emergency`.
  case saved(SaveReceipt)
  /// This run has failed at this step before, and what it had come to then is there: one is enough of a
  /// run that is started again and again.
  case isThereAlready(path: String)
  /// It could not be saved; earlier checkpoints are intact.
  case failed(any Error)
}

extension CheckpointManager {
  /// Saves what a run has come to when it fails, unless the state after the last reported step is saved
  /// already; waits until it is durable.
  ///
  /// An error may have left the trainer in the middle of a step. So what is saved is no candidate for a
  /// resume: it is never the latest, does not count, and is never removed. To go on from it deliberately,
  /// resume from its path. Never throws, so that the error that made the run fail is the one that is
  /// told.
  ///
  /// ```swift
  /// do {
  ///   try train(&trainer, manager)
  /// } catch {
  ///   manager.saveEmergency(trainer, step: trainer.step, because: error)
  ///   throw error
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - state: What is saved.
  ///   - step: The number of steps completed.
  ///   - metrics: Measurements to keep with it, by name.
  ///   - reason: The error; its description is kept.
  /// - Returns: What became of it.
  @discardableResult
  public func saveEmergency(
    _ state: some Checkpointable, step: Int, metrics: [String: Double] = [:],
    because reason: any Error
  ) -> EmergencyResult {
    background?.hurry()
    settle()
    let step = max(step, 0)
    // A program that saves by hand may be further than what it has reported.
    if let savedStep, savedStep == schedule.lastStep, step <= savedStep + 1, unsaved == nil {
      return .lastStepIsSaved(step: savedStep)
    }
    guard store.isWritable else { return .failed(readsOnly) }
    if let path = emergency(of: step) { return .isThereAlready(path: path) }
    do {
      let receipt = try keepingError(of: step) {
        judge(metrics, isNew: false)
        var plan = try plan(state, step: step, metrics: metrics)
        try scan(state, &plan, step, metrics)
        plan.metadata.markEmergency(Self.clipped("\(reason)"))
        events.emit(
          .saveStarted(step: step, stateByteCount: plan.byteCount, isInBackground: false))
        var receipt: SaveReceipt?
        try Self.unwrapping {
          receipt = try store.save(plan, step: UInt64(step), as: .emergency) { sink in
            try StatePlanning.write(state, plan: plan, to: sink)
          }
        }
        return receipt
      }
      guard let receipt else { preconditionFailure("a save that did not throw has a receipt") }
      events.emit(.saved(receipt))
      return .saved(receipt)
    } catch {
      return .failed(error)
    }
  }

  /// The path of what this run has left at a step before.
  private func emergency(of step: Int) -> String? {
    (try? store.entries())?.first { entry in
      entry.role == .emergency && entry.step == UInt64(step) && entry.problem == nil
        && entry.header.map(store.isOfThisRun) == true
    }?.path
  }

  /// As much of a description as a value has room for under strict limits.
  private static func clipped(_ text: String) -> String {
    String(decoding: text.utf8.prefix(4096), as: UTF8.self)
  }
}
