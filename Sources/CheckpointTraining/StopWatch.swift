internal import CSignals
internal import CheckpointEngine
internal import Synchronization

/// Watches for what a ``StopPolicy`` names.
final class StopWatch {
  private let policy: StopPolicy
  private let now: @Sendable () -> UInt64
  private let start: UInt64
  private var caught: [Int32] = []

  /// Asks whether the run should stop; on any thread.
  struct Question: Sendable {
    fileprivate let policy: StopPolicy
    fileprivate let now: @Sendable () -> UInt64
    fileprivate let start: UInt64
    fileprivate let isCatching: Bool
  }

  /// Whether a watch of this process has caught signals: their old actions have one place.
  private static let isCatching = Atomic<Bool>(false)

  /// - Parameters:
  ///   - policy: What to watch for.
  ///   - path: The store, for errors.
  ///   - now: A clock in nanoseconds that never goes back.
  /// - Throws: ``CheckpointError``: `.busy` if another manager watches for signals.
  init(
    _ policy: StopPolicy, path: String, now: @escaping @Sendable () -> UInt64
  ) throws(CheckpointError) {
    self.policy = policy
    self.now = now
    start = now()
    guard !policy.signals.isEmpty else { return }
    guard !Self.isCatching.exchange(true, ordering: .acquiringAndReleasing) else {
      throw CheckpointError(
        .busy,
        "Another manager of this process watches for signals already; make one of them without.",
        at: CheckpointError.Location(path: path))
    }
    checkpoint_signal_clear()
    for signal in policy.signals {
      let error = checkpoint_signal_catch(signal.number)
      guard error == 0 else {
        letGo()
        throw CheckpointError(
          .io, "Signal \(signal.number) cannot be watched for: errno \(error).", errno: error)
      }
      caught.append(signal.number)
    }
  }

  deinit { putBack() }

  /// Lets go of the signals; each does again what it did before.
  func putBack() {
    if !caught.isEmpty { letGo() }
  }

  private func letGo() {
    for number in caught { checkpoint_signal_put_back(number) }
    caught = []
    Self.isCatching.store(false, ordering: .releasing)
  }

  /// The question as it is now.
  var question: Question {
    Question(policy: policy, now: now, start: start, isCatching: !caught.isEmpty)
  }

  /// Why the run should stop now, and how many nanoseconds are left for a save, if that is known.
  ///
  /// - Parameter cost: How long a save is expected to take, in nanoseconds.
  /// - Returns: Reason and time; nil if the run may go on.
  func request(expecting cost: UInt64?) -> (reason: StopReason, left: UInt64?)? {
    question.request(expecting: cost)
  }
}

extension StopWatch.Question {
  /// Why the run should stop now, and how many nanoseconds are left for a save, if that is known.
  ///
  /// - Parameter cost: How long a save is expected to take, in nanoseconds.
  /// - Returns: Reason and time; nil if the run may go on.
  func request(expecting cost: UInt64?) -> (reason: StopReason, left: UInt64?)? {
    let time = now()
    if let (number, arrival) = signal() {
      let left = policy.gracePeriod.map { grace in
        // The clock of a simulated disk is not the one of signals.
        let gone = time > arrival ? time - arrival : 0
        let whole = max(grace, .zero).saveNanoseconds
        return whole > gone ? whole - gone : 0
      }
      return (.signal(number), left)
    }
    guard let limit = policy.timeLimit.map({ max($0, .zero).saveNanoseconds }) else { return nil }
    let left = limit > time - start ? limit - (time - start) : 0
    // Twice: the step to come takes its time as well, and no two saves take the same.
    return left <= 2 * min(cost ?? 0, .max / 2) ? (.timeLimit, left) : nil
  }

  private func signal() -> (number: Int32, arrival: UInt64)? {
    guard isCatching else { return nil }
    var arrival: UInt64 = 0
    // SAFETY: the function fills the number, which is ours.
    let number = unsafe checkpoint_signal_noted(&arrival)
    return number == 0 ? nil : (number, arrival)
  }
}
