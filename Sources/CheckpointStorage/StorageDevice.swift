/// Where checkpoints are kept: a file system, a clock and a source of random identifiers.
///
/// Programs use ``posix``. Tests inject a simulated disk from `CheckpointTesting`, so that every
/// fault and every crash can be played through without a real one.
public struct StorageDevice: Sendable {
  /// Repeats what a signal interrupts, so that callers need not.
  package let backend: any StorageBackend
  package let timeSource: TimeSource
  /// Returns 128 fresh random bits.
  package let randomBits: @Sendable () -> (UInt64, UInt64)

  package init(
    backend: any StorageBackend, timeSource: TimeSource,
    randomBits: @escaping @Sendable () -> (UInt64, UInt64),
    interruptCountMax: Int = interruptCountMax
  ) {
    self.backend = InterruptRetryingBackend(backend, limit: interruptCountMax)
    self.timeSource = timeSource
    self.randomBits = randomBits
  }
}

/// The clock of a storage device; every function is safe to call from any thread.
package struct TimeSource: Sendable {
  /// Nanoseconds since 1970-01-01 00:00 UTC.
  package var now: @Sendable () -> Int64
  /// Nanoseconds on a clock that never goes back; for measuring durations only.
  package var monotonic: @Sendable () -> UInt64
  /// Blocks the calling thread for about this many nanoseconds.
  package var sleep: @Sendable (UInt64) -> Void

  package init(
    now: @escaping @Sendable () -> Int64, monotonic: @escaping @Sendable () -> UInt64,
    sleep: @escaping @Sendable (UInt64) -> Void
  ) {
    self.now = now
    self.monotonic = monotonic
    self.sleep = sleep
  }
}
