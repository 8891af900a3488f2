internal import CheckpointEngine
internal import CheckpointFormat

// Where a run begins, and what of the runs before it goes with it.

extension CheckpointManager {
  /// Begins a fresh run; refuses a store with checkpoints unless told otherwise.
  func beginFreshRun(_ source: ResumeSource) throws(CheckpointError) {
    if source == .nothing { try requireEmpty() }
    store.beginFreshRun()
    runBegins(at: nil, savedStep: nil)
  }

  /// Nothing of a run before is left.
  private func runBegins(at reader: CheckpointReader?, savedStep: Int?) {
    let history = reader.map { MetricHistory(recordedIn: $0.metadata) } ?? MetricHistory()
    if let reader {
      warmStart = WarmStart(recordedIn: reader.metadata)
    } else if schedule.lastStep != nil {
      warmStart = WarmStart()  // Else it is the beginning of this very run.
    }
    schedule.begin(
      at: reader.map { Int(clamping: $0.header.step) },
      epoch: reader.flatMap { Environment.completedEpochs(in: $0.metadata) }, history)
    health.begin(reader?.metadata)
    self.savedStep = savedStep
    unsaved = nil
    isPostponed = false
    isRestoredOnly = false
    hasBegun = true
  }

  /// Throws `.notEmpty` if the store has checkpoints.
  func requireEmpty() throws(CheckpointError) {
    if let entry = try store.entries().first(where: { $0.role != .emergency }) {
      throw CheckpointError(
        .notEmpty,
        "\(escaped(store.path)) already holds checkpoints, for example \(escaped(entry.name)), and "
          + "this run would begin afresh beside them. Resume from .latest before the first save, or "
          + "from .never if a fresh run is meant.",
        at: CheckpointError.Location(path: store.path))
    }
  }

  /// From here on the trainer is no longer what it was.
  func restoringBegins() { isRestoredOnly = true }

  /// - Parameters:
  ///   - reader: The checkpoint that was restored.
  ///   - choice: Whether a person chose it.
  ///   - isWhole: Whether the trainer is what the checkpoint holds, and that lies in this store.
  func continueRun(from reader: CheckpointReader, choice: ResumeChoice, isWhole: Bool) {
    store.continueRun(from: reader, choice: choice)
    runBegins(at: reader, savedStep: isWhole ? Int(clamping: reader.header.step) : nil)
  }
}
