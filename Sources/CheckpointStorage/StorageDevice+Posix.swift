#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

extension StorageDevice {
  /// The file system of this machine, its clock, and the system's random number generator.
  public static let posix = StorageDevice(
    backend: PosixBackend(), timeSource: .posix,
    randomBits: {
      var generator = SystemRandomNumberGenerator()
      return (generator.next(), generator.next())
    })
}

extension TimeSource {
  /// The clocks of the operating system.
  package static let posix = TimeSource(
    now: {
      let time = read(CLOCK_REALTIME)
      return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    },
    monotonic: {
      let time = read(CLOCK_MONOTONIC)
      return UInt64(clamping: time.tv_sec) * 1_000_000_000 + UInt64(clamping: time.tv_nsec)
    },
    sleep: sleepThroughSignals)

  private static func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    // SAFETY: the C library fills the record, which is ours. With these two clocks it cannot fail.
    unsafe _ = clock_gettime(clock, &time)
    return time
  }

  private static let sleepThroughSignals: @Sendable (UInt64) -> Void = { nanoseconds in
    var rest = timespec(
      tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var remaining = timespec()
    // SAFETY: both records are ours; a signal leaves what remains in the second.
    while unsafe nanosleep(&rest, &remaining) != 0, errno == EINTR { rest = remaining }
  }
}
