internal import CheckpointEngine
internal import CheckpointStorage

/// Saves planned states with all that belongs to it: retries, retention, events.
///
/// Runs on any thread that alone uses the store.
struct SaveRunner {
  let store: CheckpointStore
  let keeping: RetentionPolicy
  let whenFull: SpacePolicy.WhenFull
  let events: EventHub

  /// Saves, and removes what is not kept.
  ///
  /// - Parameters:
  ///   - plan: What is saved.
  ///   - step: After how many steps.
  ///   - shouldHurry: Asked while it waits for room: whether to give up.
  ///   - write: Provides the bytes; called again for each attempt.
  /// - Returns: What came of it; a refusal of the store is a result.
  /// - Throws: What `write` throws for the state.
  func save(
    _ plan: SavePlan, step: Int, shouldHurry: () -> Bool, write: (any StateSink) throws -> Void
  ) throws -> SaveResult {
    let result = try persistently(step, shouldHurry) {
      try attempt(plan, step, write)
    }
    switch result {
    case .failed(let error):
      events.emit(.failed(step: step, error))
      return result
    case .saved(let receipt, _):
      events.emit(.saved(receipt))
      let report = store.retain(keeping)
      tell(report)
      return .saved(receipt, report)
    }
  }

  /// Tells of what retention did.
  func tell(_ report: RetentionReport) {
    for path in report.removed { events.emit(.removed(path: path)) }
    for warning in report.warnings { events.emit(.warning(warning)) }
  }

  /// Repeats a save that meets a full disk, if that was asked for.
  private func persistently(
    _ step: Int, _ shouldHurry: () -> Bool, _ save: () throws -> SaveResult
  ) throws -> SaveResult {
    let time = store.options.device.timeSource
    let start = time.monotonic()
    while true {
      let result = try save()
      guard case .failed(let error) = result, error.code == .outOfSpace,
        case .wait(let interval, let limit) = whenFull
      else { return result }
      let now = time.monotonic()
      let (waited, longest) = (now - start, max(limit, .zero).saveNanoseconds)
      guard waited < longest else { return result }
      events.emit(.waitsForSpace(step: step, error, waited: .nanoseconds(waited)))
      // In short sleeps, so that a request to stop is noticed.
      var left = min(max(interval, .milliseconds(1)).saveNanoseconds, longest - waited)
      while left > 0 {
        if shouldHurry() { return result }
        let nap = min(left, 50_000_000)
        time.sleep(nap)
        left -= nap
      }
    }
  }

  /// Saves once; repeats the whole save once if its durability is in doubt.
  private func attempt(
    _ plan: SavePlan, _ step: Int, _ write: (any StateSink) throws -> Void
  ) throws -> SaveResult {
    func save() throws -> SaveReceipt {
      try store.save(plan, step: UInt64(step)) { sink in
        try write(ProgressSink(sink, step: step, byteCount: plan.byteCount, events))
      }
    }
    do {
      do {
        return .saved(try save(), RetentionReport())
      } catch let error as CheckpointError where error.code == .durabilityUnknown {
        return .saved(try save(), RetentionReport())
      }
    } catch let failure as StateFailure {
      throw failure.cause
    } catch let error as CheckpointError {
      return .failed(error)
    }
  }
}

/// Passes a state on to the store, and tells how far it has come.
final class ProgressSink: StateSink {
  private let sink: TensorSink
  private let step: Int
  private let total: UInt64
  private let events: EventHub
  private var done: UInt64 = 0
  private var told: UInt64 = 0
  /// What is passed on at once: with more, a large tensor would be one step of the progress.
  private static let partByteCount = 16 << 20

  init(_ sink: TensorSink, step: Int, byteCount: UInt64, _ events: EventHub) {
    self.sink = sink
    self.step = step
    total = byteCount
    self.events = events
  }

  func append(_ bytes: RawSpan) throws(CheckpointError) {
    var offset = 0
    repeat {
      let part = min(bytes.byteCount - offset, Self.partByteCount)
      try sink.append(bytes.extracting(offset..<offset + part))
      offset += part
      advance(by: part)
    } while offset < bytes.byteCount
  }

  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    // SAFETY: the buffer that the sink lends is passed on for the time of its call.
    try unsafe sink.fill(byteCount) { offset, target in
      try unsafe body(offset, target)
      advance(by: target.count)
    }
  }

  private func advance(by count: Int) {
    done += UInt64(count)
    // At most a hundred times, and when it is done.
    let isDone = done == total && told < total
    guard isDone || done - told > total / 100 else { return }
    told = done
    events.emit(.progressed(step: step, byteCount: done, of: total))
  }
}
