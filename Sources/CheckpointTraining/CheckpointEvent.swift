public import CheckpointEngine
internal import CheckpointStorage

/// Something that a manager did, or met.
public enum CheckpointEvent: Sendable {
  /// The run begins, or goes on, as the result says.
  case resumed(ResumeResult)
  /// A run that begins has taken a part of a checkpoint.
  case warmStarted(path: String, RestoreReport)
  /// A save of the state after a step begins.
  case saveStarted(step: Int, stateByteCount: UInt64, isInBackground: Bool)
  /// The state was copied for a save in the background, and training goes on.
  case copied(step: Int, byteCount: UInt64, blocked: Duration)
  /// So many bytes of the state are on their way to the disk; told at most a hundred times a save.
  case progressed(step: Int, byteCount: UInt64, of: UInt64)
  /// A checkpoint is durable.
  case saved(SaveReceipt)
  /// A save failed; earlier checkpoints are intact.
  case failed(step: Int, CheckpointError)
  /// The disk is full, and the save waits to be tried again; it has waited for so long already.
  case waitsForSpace(step: Int, CheckpointError, waited: Duration)
  /// Retention removed a checkpoint.
  case removed(path: String)
  /// A damaged checkpoint was renamed.
  case setAside(path: String)
  /// A save was due and is made later, since the one before has not ended.
  case postponed(step: Int)
  /// A save was due and is left out, since the one before has not ended.
  case skipped(step: Int)
  /// The run should stop.
  case stopRequested(StopReason)
  /// Something that a person should know.
  case warning(String)
}

extension CheckpointManager {
  /// Has a function called with each event from now on.
  ///
  /// It is called on the thread on which the event happens: the one that trains, or the one that saves in
  /// the background; what it takes long for, they wait for. It must not call the manager.
  ///
  /// - Parameter handler: Is given each event.
  public func onEvent(_ handler: @escaping @Sendable (CheckpointEvent) -> Void) {
    events.add(handler)
  }

  /// The events from now on, as a sequence that ends when the manager finishes or is released.
  ///
  /// Nobody waits for whoever iterates: of events that are not fetched the newest 1,024 are kept.
  ///
  /// - Returns: A sequence of its own for each call.
  public func eventStream() -> AsyncStream<CheckpointEvent> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1024)) { events.add($0) }
  }
}

/// Passes events on to whoever wants them; safe to use from any thread.
final class EventHub: Sendable {
  private struct Listeners {
    var handlers: [@Sendable (CheckpointEvent) -> Void] = []
    var streams: [AsyncStream<CheckpointEvent>.Continuation] = []
    var hasEnded = false
  }

  private let listeners = Protected(Listeners())

  deinit { end() }

  func add(_ handler: @escaping @Sendable (CheckpointEvent) -> Void) {
    listeners.withLock { $0.handlers.append(handler) }
  }

  func add(_ stream: AsyncStream<CheckpointEvent>.Continuation) {
    let hasEnded = listeners.withLock { listeners in
      if !listeners.hasEnded { listeners.streams.append(stream) }
      return listeners.hasEnded
    }
    if hasEnded { stream.finish() }
  }

  func emit(_ event: CheckpointEvent) {
    // Called without the lock: a handler may add another.
    let (handlers, streams) = listeners.withLock { ($0.handlers, $0.streams) }
    for handler in handlers { handler(event) }
    for stream in streams { stream.yield(event) }
  }

  /// Ends the streams.
  func end() {
    let streams = listeners.withLock { listeners in
      defer { listeners.streams = [] }
      listeners.hasEnded = true
      return listeners.streams
    }
    for stream in streams { stream.finish() }
  }
}
