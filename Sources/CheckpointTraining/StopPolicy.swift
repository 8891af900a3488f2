#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What makes a run stop early, so that it can be resumed.
///
/// The manager watches for it, saves after the step that is under way, and answers
/// ``StepOutcome/stopRequested(_:)``; to leave the training loop is up to the program.
public struct StopPolicy: Hashable, Sendable {
  /// A signal that asks a process to end, or announces that it will be.
  public struct Signal: Hashable, Sendable {
    /// Its number on this system.
    public let number: Int32

    /// A signal by its number.
    ///
    /// - Precondition: It can be caught.
    public init(number: Int32) {
      precondition(
        number > 0 && number < 65 && number != SIGKILL && number != SIGSTOP,
        "that signal cannot be caught")
      self.number = number
    }

    /// SIGTERM, by which schedulers end a process.
    public static let terminate = Signal(number: SIGTERM)
    /// SIGINT, which Control-C sends.
    public static let interrupt = Signal(number: SIGINT)
    /// SIGUSR1, by which schedulers announce the end if they are told to.
    public static let user1 = Signal(number: SIGUSR1)
  }

  /// The signals that are watched for; none installs no handler.
  public var signals: Set<Signal>
  /// How long the process is left alive after a signal, as far as is known.
  public var gracePeriod: Duration?
  /// How long the run may last, from the making of the manager on, the last save included.
  public var timeLimit: Duration?

  /// Nothing makes the run stop.
  public static let never = StopPolicy()

  /// Stops on signals, after a time, or whichever comes first.
  ///
  /// The handlers only take note of the first signal. The same signal again, half a second later or
  /// more, ends the process as if nobody had watched for it. What the signals did before is put back when the manager
  /// finishes or is released.
  ///
  /// - Parameters:
  ///   - signals: Which signals; one manager of a process can watch for them at a time.
  ///   - gracePeriod: How long the process is left alive after a signal.
  ///   - timeLimit: How long the run may last: it stops as soon as a save might otherwise end later.
  public init(
    on signals: Set<Signal> = [], gracePeriod: Duration? = nil, after timeLimit: Duration? = nil
  ) {
    self.signals = signals
    self.gracePeriod = gracePeriod
    self.timeLimit = timeLimit
  }

  /// Stops on SIGTERM, SIGINT and SIGUSR1.
  public static let onPreemption = StopPolicy(on: [.terminate, .interrupt, .user1])
}

/// Why a run should stop.
public enum StopReason: Hashable, Sendable {
  /// A signal arrived, with this number.
  case signal(Int32)
  /// The time is up.
  case timeLimit
}

/// What became of a run that was asked to stop.
public struct StopReport: Sendable {
  /// Why it should stop.
  public let reason: StopReason
  /// What the save after the last step came to; nil if that step had been saved already.
  public let save: SaveResult?
  /// What a save in the background of an earlier step came to, if that was not told yet.
  public let earlier: SaveResult?
  /// How long a save was expected to take, by those before it; nil if there was none.
  public let expectedSaveDuration: Duration?
  /// How much time was left for it; nil if nobody knows.
  public let timeLeft: Duration?

  /// Whether the state after the last step is on disk; of a manager that only reads, whether there is
  /// nothing that it would have to save, which is so.
  public var isSaved: Bool {
    if case .failed = save { false } else { true }
  }

  /// Whether the save was expected to end in time; nil if that could not be told.
  ///
  /// It was begun all the same: one that is cut off costs nothing that was saved before.
  public var wasExpectedInTime: Bool? {
    guard let expectedSaveDuration, let timeLeft else { return nil }
    return expectedSaveDuration <= timeLeft
  }
}
