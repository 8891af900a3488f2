internal import CheckpointStorage
internal import CheckpointTraining

/// What the manager's events tell of saves, on any thread, for whoever draws and prints it.
final class SaveMeter: Sendable {
  struct Reading: Sendable {
    var step: Int
    var done: UInt64
    var total: UInt64
  }

  private struct State {
    var reading: Reading?
    var news: [CheckpointEvent] = []
  }

  private let state = Protected(State())

  /// The save under way; nil if there is none.
  var reading: Reading? { state.withLock { $0.reading } }

  func note(_ event: CheckpointEvent) {
    state.withLock { state in
      switch event {
      case .saveStarted(let step, let count, _):
        state.reading = Reading(step: step, done: 0, total: count)
      case .progressed(_, let done, _): state.reading?.done = done
      case .saved, .failed: state.reading = nil
      case .waitsForSpace, .warning: state.news.append(event)
      default: break
      }
    }
  }

  /// What a person should know and was not told yet.
  func takeNews() -> [CheckpointEvent] {
    state.withLock { state in
      defer { state.news = [] }
      return state.news
    }
  }
}
