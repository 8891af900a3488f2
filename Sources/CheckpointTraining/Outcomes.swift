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
}

/// What ``CheckpointManager/stepCompleted(_:state:metrics:)`` did.
public enum StepOutcome: Sendable {
  /// No save was due.
  case notDue
  /// A checkpoint was saved and is durable.
  case saved(SaveReceipt, RetentionReport)
  /// The save failed; earlier checkpoints are intact.
  case failed(CheckpointError)
}
