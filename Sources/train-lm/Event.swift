internal import CheckpointTraining
internal import CommandLineTool

/// What happened, as one line of JSON on standard output; the fields are those of docs/json.md.
struct Event {
  private let fields: [(String, JSONValue)]

  private init(_ name: String, _ fields: [(String, JSONValue)]) {
    self.fields = [("event", .string(name))] + fields
  }

  func emit() { StandardStreams.writeOutput(JSONValue.object(fields).text) }

  static func started(seed: UInt64, maxSteps: Int) -> Event {
    Event("started", [("seed", .uint(seed)), ("max_steps", .int(Int64(maxSteps)))])
  }

  static func resumed(
    _ checkpoint: ResumedCheckpoint, _ result: ResumeResult, digest: String
  ) -> Event {
    Event(
      "resumed",
      [
        ("step", .int(Int64(checkpoint.step))), ("generation", .uint(checkpoint.generation)),
        ("path", .string(checkpoint.path)),
        (
          "skipped",
          .array(
            result.skipped.map { skipped in
              .object(
                [("path", .string(skipped.path)), ("reason", .string(skipped.reason.message))]
                  + place(skipped.reason.location))
            })
        ),
        ("removed", .array(result.retention.removed.map { .string($0) })),
        ("set_aside", .array(result.setAside.map { .string($0) })),
        ("validated", validated(result.validation)), ("state_sha256", .string(digest)),
      ])
  }

  /// The value that was measured again; null if none was.
  private static func validated(_ result: ValidationResult?) -> JSONValue {
    if case .agrees(_, let measured)? = result { .double(measured) } else { .null }
  }

  static func warmStarted(_ path: String, _ report: RestoreReport) -> Event {
    Event(
      "warm_started",
      [
        ("path", .string(path)), ("restored", .array(report.restored.map { .string($0) })),
        ("left", .int(Int64(report.left.count))),
      ])
  }

  static func waitingForSpace(_ step: Int, _ error: CheckpointError, _ waited: Duration) -> Event {
    Event(
      "waiting_for_space",
      [
        ("step", .int(Int64(step))), ("waited_seconds", .double(seconds(waited))),
        ("error", .string(error.message)),
      ])
  }

  static func emergency(_ receipt: SaveReceipt) -> Event {
    Event("emergency", [("step", .uint(receipt.step)), ("path", .string(receipt.path))])
  }

  static func resumeCheck(_ preview: ResumePreview) -> Event {
    let differences = preview.differences.map { difference -> JSONValue in
      .object([
        ("name", .string(difference.name)),
        ("saved", difference.saved.map { .string($0) } ?? .null),
        ("current", difference.current.map { .string($0) } ?? .null),
        ("grade", .string(difference.grade.text)),
      ])
    }
    return Event(
      "resume_check",
      [
        ("step", preview.checkpoint.map { .int(Int64($0.step)) } ?? .null),
        ("path", preview.checkpoint.map { .string($0.path) } ?? .null),
        ("grade", .string(preview.grade.text)), ("differences", .array(differences)),
        ("misfit", preview.misfit.map { .string($0.message) } ?? .null),
      ])
  }

  private static func place(_ location: CheckpointError.Location?) -> [(String, JSONValue)] {
    [
      location?.offset.map { ("offset", .uint($0)) },
      location?.tensor.map { ("tensor", .string($0)) },
      location?.chunk.map { ("chunk", .int(Int64($0))) },
    ].compactMap { $0 }
  }

  static func step(_ step: Int, loss: Float, learningRate: Float) -> Event {
    Event(
      "step",
      [("step", .int(Int64(step))), ("loss", .float(loss)), ("lr", .float(learningRate))])
  }

  static func eval(_ step: Int, loss: Float) -> Event {
    Event("eval", [("step", .int(Int64(step))), ("eval_loss", .float(loss))])
  }

  static func saved(_ receipt: SaveReceipt, _ retention: RetentionReport) -> Event {
    Event(
      "saved",
      [
        ("step", .uint(receipt.step)), ("generation", .uint(receipt.generation)),
        ("path", .string(receipt.path)), ("durable", .bool(true)),
        ("bytes", .uint(receipt.byteCount)), ("seconds", .double(receipt.seconds)),
        ("unhealthy", receipt.unhealthyReason.map { .string($0) } ?? .null),
        ("removed", .array(retention.removed.map { .string($0) })),
      ])
  }

  static func saveStarted(_ start: SaveStart) -> Event {
    Event(
      "save_started",
      [("step", .int(Int64(start.step))), ("blocked_seconds", .double(seconds(start.blocked)))])
  }

  private static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
  }

  static func saveFailed(_ step: Int, _ error: CheckpointError) -> Event {
    Event(
      "save_failed",
      [
        ("step", .int(Int64(step))), ("code", .string(error.code.description)),
        ("error", .string(error.message)),
      ])
  }

  static func stopped(_ step: Int, _ reason: StopReason, isSaved: Bool) -> Event {
    let fields: [(String, JSONValue)] =
      switch reason {
      case .signal(let number): [("reason", .string("signal")), ("signal", .int(Int64(number)))]
      case .timeLimit: [("reason", .string("time_limit"))]
      }
    return Event("stopped", [("step", .int(Int64(step)))] + fields + [("saved", .bool(isSaved))])
  }

  static func bestLoaded(
    _ checkpoint: ResumedCheckpoint, metric: String, digest: String
  ) -> Event {
    Event(
      "best_loaded",
      [
        ("step", .int(Int64(checkpoint.step))), ("generation", .uint(checkpoint.generation)),
        ("path", .string(checkpoint.path)), ("metric", .string(metric)),
        ("value", checkpoint.metrics[metric].map { .double($0) } ?? .null),
        ("state_sha256", .string(digest)),
      ])
  }

  static func done(
    _ step: Int, evalLoss: Float, unigramEntropy: Double, digest: String
  ) -> Event {
    Event(
      "done",
      [
        ("step", .int(Int64(step))), ("eval_loss", .float(evalLoss)),
        ("unigram_entropy", .double(unigramEntropy)), ("state_sha256", .string(digest)),
      ])
  }
}
