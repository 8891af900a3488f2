public import CheckpointEngine

/// How a run began.
public struct ResumeResult: Sendable {
  /// The checkpoint that was restored; nil for a fresh run.
  public let checkpoint: ResumedCheckpoint?
  /// Newer checkpoints that are damaged and were passed over, newest first.
  public let skipped: [SkippedCheckpoint]
  /// How what decides the run besides its state compares with the checkpoint, the gravest first.
  ///
  /// Values that are the same are listed as well; for a fresh run there are none.
  public let differences: [ContractDifference]
  /// What was removed because the process before died between a save and its retention.
  public let retention: RetentionReport
  /// What was restored and what was not; nil where that was up to `restore(from:)`.
  public let restored: RestoreReport?
  /// What the validation found; nil if none was asked for, or the run began afresh.
  public let validation: ValidationResult?
  /// The new paths of damaged checkpoints that were set aside.
  public let setAside: [String]
  /// What room the run needs; nil if that was not looked at.
  public internal(set) var space: SpaceEstimate?

  init(
    checkpoint: ResumedCheckpoint?, skipped: [SkippedCheckpoint] = [],
    differences: [ContractDifference] = [], retention: RetentionReport = RetentionReport(),
    restored: RestoreReport? = nil, validation: ValidationResult? = nil, setAside: [String] = []
  ) {
    self.restored = restored
    self.validation = validation
    self.setAside = setAside
    self.checkpoint = checkpoint
    self.skipped = skipped
    self.differences = differences
    self.retention = retention
  }
}

/// What a resume would do.
public struct ResumePreview: Sendable {
  /// The checkpoint that would be restored; nil if the run would begin afresh.
  public let checkpoint: ResumedCheckpoint?
  /// Newer checkpoints that would be passed over, newest first.
  public let skipped: [SkippedCheckpoint]
  /// How what decides the run besides its state compares with the checkpoint, the gravest first.
  public let differences: [ContractDifference]
  /// Why the checkpoint does not fit the program, with every tensor and value; nil if it does.
  public let misfit: CheckpointError?

  /// Of a run that would begin afresh.
  public static let fresh = ResumePreview(
    checkpoint: nil, skipped: [], differences: [], misfit: nil)

  /// The gravest of all differences.
  public var grade: ResumeContract.Grade {
    misfit != nil ? .refuse : differences.first?.grade ?? .same
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

/// A save that was begun in the background.
public struct SaveStart: Sendable {
  /// The step whose state it saves.
  public let step: Int
  /// How long training was kept from going on: the copying of the state, and the waiting for the save
  /// before, if there was any.
  public let blocked: Duration
  /// What the save before came to, if that was not told yet.
  public let earlier: SaveResult?
}

/// What ``CheckpointManager/stepCompleted(_:epoch:state:metrics:)`` did.
public enum StepOutcome: Sendable {
  /// No save was due, and none in the background has ended since the last step.
  case notDue
  /// A checkpoint was saved and is durable.
  case saved(SaveReceipt, RetentionReport)
  /// The save failed; earlier checkpoints are intact.
  case failed(CheckpointError)
  /// The state was copied and is being saved in the background; a later step, or the end of the run,
  /// tells what came of it.
  case started(SaveStart)
  /// A save is due, and made when the one before has ended.
  case postponed
  /// A save was due and left out, since the one before has not ended.
  case skipped
  /// The run should stop: the state after this step was saved, or at least that was tried.
  case stopRequested(StopReport)

  init(_ result: SaveResult) {
    switch result {
    case .saved(let receipt, let retention): self = .saved(receipt, retention)
    case .failed(let error): self = .failed(error)
    }
  }
}
