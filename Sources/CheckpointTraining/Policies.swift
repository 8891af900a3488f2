public import CheckpointEngine

/// What a failed save means for the run.
public enum SaveFailurePolicy: Hashable, Sendable {
  /// It is reported as ``StepOutcome/failed(_:)`` and training goes on; earlier checkpoints are
  /// intact.
  case report
  /// It is thrown.
  case stop
}

/// Where a run begins.
public struct ResumeSource: Hashable, Sendable {
  enum Kind: Hashable, Sendable {
    case latest(orElse: String?)
    case selected(CheckpointSelection)
    case path(String)
    case nothing
    case never
  }

  let kind: Kind

  /// At the newest intact checkpoint, or afresh if the store has none at all.
  public static let latest = ResumeSource(kind: .latest(orElse: nil))

  /// At the newest intact checkpoint; if the store has none at all, as ``path(_:)``.
  ///
  /// The same command can so be given again and again, the first time included.
  public static func latest(orElse path: String) -> ResumeSource {
    ResumeSource(kind: .latest(orElse: path))
  }

  /// At the newest intact checkpoint that was not marked unhealthy, or afresh if the store has none at
  /// all; what is newer is left behind.
  public static let latestHealthy = ResumeSource(kind: .selected(.latestHealthy))

  /// At the newest intact checkpoint of a step.
  public static func step(_ step: UInt64) -> ResumeSource {
    ResumeSource(kind: .selected(.step(step)))
  }

  /// At the checkpoint of a generation.
  public static func generation(_ generation: UInt64) -> ResumeSource {
    ResumeSource(kind: .selected(.generation(generation)))
  }

  /// At the intact checkpoint with the best value of a metric, of equal ones the older; afresh if the
  /// store has none at all.
  ///
  /// Looks at the newest checkpoint's lineage: a branch from which a run was taken back is left out.
  public static func best(of metric: String, _ direction: MetricDirection) -> ResumeSource {
    ResumeSource(kind: .selected(.best(metric: metric, direction)))
  }

  /// At a file, or at the newest intact checkpoint of another store.
  public static func path(_ path: String) -> ResumeSource { ResumeSource(kind: .path(path)) }

  /// Afresh, and only if the store is empty.
  public static let nothing = ResumeSource(kind: .nothing)

  /// Afresh, whatever is in the store; its checkpoints stay until retention removes them.
  public static let never = ResumeSource(kind: .never)
}

/// What becomes of damaged checkpoints that a resume passes over.
public enum DamagedPolicy: Hashable, Sendable {
  /// They stay as they are, and are passed over each time.
  case leave
  /// They are renamed to `….ckpt.damaged`, after the resume: nothing looks at them any more.
  case setAside
}

/// How strictly a checkpoint must fit the program.
public enum RestoreStrictness: Hashable, Sendable {
  /// Every tensor and value is in both, with the same dtype and shape, and is restored.
  case exact
  /// `restore(from:)` decides what it reads.
  case partial
  /// Of the selected part, every tensor and value is in both, with the same dtype and shape, and is
  /// restored; all else stays as the program has it.
  ///
  /// Of a tied tensor all names are selected if one is. Needs memory for a copy of what stays, or may.
  case selected(StateSelection, misfits: MisfitPolicy = .refuse)

  /// What becomes of a part that is selected and does not fit.
  public enum MisfitPolicy: Hashable, Sendable {
    /// It is an error, and nothing is restored.
    case refuse
    /// It stays as the program has it, and is reported.
    case leave
  }

  /// What is restored, for a restore that is not up to `restore(from:)`.
  var selection: StateSelection? {
    switch self {
    case .exact: .everything
    case .partial: nil
    case .selected(let selection, _): selection
    }
  }

  var isLenient: Bool { if case .selected(_, .leave) = self { true } else { false } }
}
