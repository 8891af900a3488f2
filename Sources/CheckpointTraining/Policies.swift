/// When the manager saves.
public struct SavePolicy: Hashable, Sendable {
  let interval: Int?

  /// After every `steps` training steps: at multiples of it, or at the first step that is reported
  /// after one.
  ///
  /// - Precondition: `steps` is at least 1.
  public static func every(steps: Int) -> SavePolicy {
    precondition(steps >= 1, "a save interval has at least one step")
    return SavePolicy(interval: steps)
  }

  /// Only when the program asks for it.
  public static let manual = SavePolicy(interval: nil)

  /// Whether a multiple of the interval lies after `previous` and not after `step`.
  func isDue(after step: Int, previous: Int) -> Bool {
    guard let interval else { return false }
    return step / interval > previous / interval
  }
}

/// What a failed save means for the run.
public enum SaveFailurePolicy: Hashable, Sendable {
  /// It is reported as ``StepOutcome/failed(_:)`` and training goes on; earlier checkpoints are
  /// intact.
  case report
  /// It is thrown.
  case stop
}

/// Where a run begins.
public enum ResumeSource: Hashable, Sendable {
  /// At the newest intact checkpoint, or afresh if the store has none at all.
  case latest
  /// At the newest intact checkpoint of a step.
  case step(UInt64)
  /// At the checkpoint of a generation.
  case generation(UInt64)
  /// At a file, or at the newest intact checkpoint of another store.
  case path(String)
  /// Afresh, and only if the store is empty.
  case nothing
  /// Afresh, whatever is in the store; its checkpoints stay until retention removes them.
  case never
}

/// How strictly a checkpoint must fit the program.
public enum RestoreStrictness: Hashable, Sendable {
  /// Every tensor and value is in both, with the same dtype and shape, and is restored.
  case exact
  /// `restore(from:)` decides what it reads.
  case partial
}
