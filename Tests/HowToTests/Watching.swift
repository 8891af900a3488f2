// snippet: watch-a-run
import CheckpointTraining
import Foundation

/// What a log should have, a line each; nil for the rest.
func logLine(_ event: CheckpointEvent) -> String? {
  switch event {
  case .resumed(let result):
    result.checkpoint.map { "resumed after step \($0.step)" } ?? "begins afresh"
  case .saved(let receipt): "saved step \(receipt.step) in \(receipt.seconds) s"
  case .failed(let step, let error): "step \(step) was not saved: \(error.message)"
  case .waitsForSpace(let step, _, let waited): "step \(step) has waited \(waited) for room"
  case .removed(let path): "removed \(path)"
  case .warning(let text): text
  default: nil
  }
}

/// Redraws one line of a terminal while training waits for a save.
func progressBar(_ event: CheckpointEvent) -> String? {
  guard case .progressed(let step, let done, let total) = event, total > 0 else { return nil }
  let count = Int(40 * done / total)
  let bar = String(repeating: "#", count: count) + String(repeating: ".", count: 40 - count)
  return "\rsaving step \(step) [\(bar)]" + (done == total ? "\n" : "")
}

func tell(of manager: CheckpointManager) {
  manager.onEvent { event in
    guard let text = progressBar(event) ?? logLine(event).map({ $0 + "\n" }) else { return }
    FileHandle.standardError.write(Data(text.utf8))
  }
}
// end of snippet

// snippet: watch-a-run
/// Counts what a monitor wants to know, in the text format of Prometheus.
// SAFETY: the variables are touched under the lock only.
final class SaveMetrics: @unchecked Sendable {
  private let lock = NSLock()
  private var counts = ["saved": 0, "failed": 0, "removed": 0, "unhealthy": 0]
  private var last = ["step": 0.0, "seconds": 0.0, "bytes": 0.0, "blocked_seconds": 0.0]

  func note(_ event: CheckpointEvent) {
    lock.withLock {
      switch event {
      case .saved(let receipt):
        counts["saved", default: 0] += 1
        if receipt.unhealthyReason != nil { counts["unhealthy", default: 0] += 1 }
        last["step"] = Double(receipt.step)
        last["seconds"] = receipt.seconds
        last["bytes"] = Double(receipt.byteCount)
      case .copied(_, _, let blocked): last["blocked_seconds"] = blocked / .seconds(1)
      case .failed: counts["failed", default: 0] += 1
      case .removed: counts["removed", default: 0] += 1
      default: break
      }
    }
  }

  /// The answer to a scrape; may be asked for on any thread.
  var text: String {
    let (counts, last) = lock.withLock { (self.counts, self.last) }
    let totals = counts.sorted { $0.key < $1.key }.map { name, count in
      "# TYPE checkpoint_\(name)_total counter\ncheckpoint_\(name)_total \(count)\n"
    }
    let gauges = last.sorted { $0.key < $1.key }.map { name, value in
      "# TYPE checkpoint_last_\(name) gauge\ncheckpoint_last_\(name) \(value)\n"
    }
    return (totals + gauges).joined()
  }
}
// end of snippet

// snippet: watch-a-run
/// Writes the counters after each save, until the run ends.
func export(_ events: AsyncStream<CheckpointEvent>, to path: String) -> Task<Void, any Error> {
  Task {
    let metrics = SaveMetrics()
    for await event in events {
      metrics.note(event)
      guard case .saved = event else { continue }
      try metrics.text.write(toFile: path, atomically: true, encoding: .utf8)
    }
  }
}
// end of snippet
