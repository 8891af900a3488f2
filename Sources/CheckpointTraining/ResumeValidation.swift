internal import CheckpointEngine

/// Measures a metric again after a resume, and compares it with the one that was saved.
///
/// The same state on the same data gives the same value; another one means that something which decides
/// the run is not what it was: the data, the code, the machine, or what `restore(from:)` forgot.
///
/// ```swift
/// let result = try manager.resume(
///   &trainer, from: .latest,
///   validating: ResumeValidation("eval_loss") { trainer in trainer.evaluate() })
/// ```
public struct ResumeValidation<Trainer> {
  /// What happens if the values differ.
  public enum OnMismatch: Hashable, Sendable {
    /// The resume throws `.unhealthy`; the trainer must not go on.
    case stop
    /// The next older checkpoint is tried.
    case tryOlder
  }

  /// The metric's name; a checkpoint without it is not validated, and not taken after one that did not
  /// pass.
  public let metric: String
  /// How far the values may lie apart.
  public let tolerance: Double
  /// What happens if they lie further apart.
  public let onMismatch: OnMismatch
  let measure: (Trainer) throws -> Double

  /// Makes a validation.
  ///
  /// - Parameters:
  ///   - metric: The metric's name among those that were saved.
  ///   - tolerance: How far the values may lie apart; nothing by default.
  ///   - onMismatch: What happens if they lie further apart.
  ///   - measure: Measures it; must not change the trainer.
  /// - Precondition: `tolerance` is not negative.
  public init(
    _ metric: String, within tolerance: Double = 0, onMismatch: OnMismatch = .stop,
    measure: @escaping (Trainer) throws -> Double
  ) {
    precondition(tolerance >= 0, "a tolerance is not negative")
    self.metric = metric
    self.tolerance = tolerance
    self.onMismatch = onMismatch
    self.measure = measure
  }

  /// Measures, and compares with what a checkpoint says.
  ///
  /// - Parameters:
  ///   - trainer: What was restored.
  ///   - reader: The checkpoint.
  ///   - isNeeded: Whether a checkpoint without the metric does not pass.
  /// - Returns: What was found.
  /// - Throws: What `measure` throws; ``CheckpointError``: `.unhealthy` if the values differ.
  func validate(
    _ trainer: Trainer, _ reader: CheckpointReader, _ isNeeded: Bool
  ) throws -> ValidationResult {
    guard let saved = reader.metadata.metrics[metric] else {
      guard isNeeded else { return .notSaved }
      throw CheckpointError(
        .unhealthy,
        "\(escaped(reader.path)) has no '\(escaped(metric))' by which it could be validated.",
        at: CheckpointError.Location(path: reader.path))
    }
    let measured = try measure(trainer)
    let agrees =
      saved == measured || (saved.isNaN && measured.isNaN)
      || abs(saved - measured) <= tolerance
    guard agrees else {
      throw CheckpointError(
        .unhealthy,
        "\(escaped(reader.path)) was saved with a value of '\(escaped(metric))' of \(saved), and "
          + "restored it gives \(measured). What decides the run is not what it was: data, code, "
          + "machine, or what is restored.",
        at: CheckpointError.Location(path: reader.path))
    }
    return .agrees(saved: saved, measured: measured)
  }
}

/// What a validation found.
public enum ValidationResult: Hashable, Sendable {
  /// The checkpoint has no such metric.
  case notSaved
  /// The values agree, within the tolerance.
  case agrees(saved: Double, measured: Double)
}
