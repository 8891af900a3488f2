internal import CheckpointTraining
internal import CommandLineTool

/// What a person sees on standard error while the model trains.
///
/// On a terminal one line follows every step; elsewhere a line appears for every twentieth part.
final class TrainingProgress {
  private let stepCount: Int
  private let meter: SaveMeter
  private let line = ProgressLine()
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var firstStep: Int?

  init(stepCount: Int, _ meter: SaveMeter) {
    self.stepCount = stepCount
    self.meter = meter
    start = clock.now
  }

  func step(_ step: Int, loss: Float, evalLoss: Float?) {
    let first = firstStep ?? step - 1
    firstStep = first
    line.update(text(step, first, loss, evalLoss))
    if !line.isEnabled, step % max(1, stepCount / 20) == 0 {
      StandardStreams.writeError(text(step, first, loss, evalLoss))
    }
  }

  /// Draws how far the save is that training waits for.
  func saving() {
    guard let save = meter.reading else { return }
    line.update { columnCount in
      ProgressLine.text(
        "saving step \(save.step)", done: save.done, of: save.total, columnCount: columnCount)
    }
  }

  /// Tells what the manager's events have brought.
  func tellNews() {
    for event in meter.takeNews() {
      switch event {
      case .warning(let text): note(text)
      case .waitsForSpace(let step, let error, let waited):
        clear()
        Event.waitingForSpace(step, error, waited).emit()
        note("Waiting for room to save step \(step). \(error.message)")
      default: break
      }
    }
  }

  /// Writes a line for people, without disturbing the progress.
  func note(_ text: String) {
    line.clear()
    StandardStreams.writeError(text)
  }

  /// Makes room for an event on standard output, which may be the same terminal.
  func clear() { line.clear() }

  private func text(_ step: Int, _ first: Int, _ loss: Float, _ evalLoss: Float?) -> String {
    let elapsed = Self.seconds(clock.now - start)
    let left = elapsed / Double(step - first) * Double(stepCount - step)
    return "step \(step)/\(stepCount)  loss \(Self.rounded(loss))"
      + (evalLoss.map { "  held out \(Self.rounded($0))" } ?? "")
      + "  \(Self.minutes(elapsed)) gone, \(Self.minutes(left)) to go"
      + (meter.reading.map { "  saving \($0.done * 100 / max($0.total, 1)) %" } ?? "")
  }

  private static func rounded(_ loss: Float) -> String {
    guard loss.isFinite, loss < 1e6 else { return "\(loss)" }
    let thousandths = String(Int((loss * 1000).rounded()) % 1000)
    return "\(Int((loss * 1000).rounded()) / 1000)."
      + String(repeating: "0", count: 3 - thousandths.count) + thousandths
  }

  private static func minutes(_ seconds: Double) -> String {
    let whole = Int(seconds)
    return "\(whole / 60):" + (whole % 60 < 10 ? "0" : "") + "\(whole % 60)"
  }

  private static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
  }
}
