public import CheckpointEngine

/// How a run began.
public struct ResumeResult: Sendable {
  /// The checkpoint that was restored; nil for a fresh run.
  public let checkpoint: ResumedCheckpoint?
  /// Newer checkpoints that are damaged and were passed over, newest first.
  public let skipped: [SkippedCheckpoint]
  /// What was removed because the process before died between a save and its retention.
  public let retention: RetentionReport

  init(
    checkpoint: ResumedCheckpoint?, skipped: [SkippedCheckpoint] = [],
    retention: RetentionReport = RetentionReport()
  ) {
    self.checkpoint = checkpoint
    self.skipped = skipped
    self.retention = retention
  }
}

/// A checkpoint that was restored.
public struct ResumedCheckpoint: Hashable, Sendable {
  /// The file's path.
  public let path: String
  /// The training step it was taken after.
  public let step: Int
  /// Its generation in its store.
  public let generation: UInt64
  /// What was measured when it was saved, by name.
  public let metrics: [String: Double]
  /// What was measured at it and at the checkpoints that led to it, by name, oldest first; of very
  /// many the newest.
  public let metricHistory: [String: [MetricValue]]
}

/// What a save came to.
public enum SaveResult: Sendable {
  /// A checkpoint was saved and is durable.
  case saved(SaveReceipt, RetentionReport)
  /// The save failed; earlier checkpoints are intact.
  case failed(CheckpointError)
}

/// What ``CheckpointManager/stepCompleted(_:epoch:state:metrics:)`` did.
public enum StepOutcome: Sendable {
  /// No save was due.
  case notDue
  /// A checkpoint was saved and is durable.
  case saved(SaveReceipt, RetentionReport)
  /// The save failed; earlier checkpoints are intact.
  case failed(CheckpointError)
  /// The run should stop: the state after this step was saved, or at least that was tried.
  case stopRequested(StopReport)

  init(_ result: SaveResult) {
    switch result {
    case .saved(let receipt, let retention): self = .saved(receipt, retention)
    case .failed(let error): self = .failed(error)
    }
  }
}
