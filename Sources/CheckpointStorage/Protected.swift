#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A value behind a mutex.
// SAFETY (@unchecked Sendable): `value` is only touched between lock and unlock. It is a pthread
// mutex since ThreadSanitizer reports Synchronization.Mutex falsely; it lives at a fixed address
// from init to deinit, and whoever uses it holds a reference to this object.
@safe package final class Protected<Value: Sendable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var value: Value

  package init(_ value: Value) {
    self.value = value
    // SAFETY: initialised once, before any other thread can see it.
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe _ = pthread_mutex_init(mutex, nil)
  }

  deinit {
    // SAFETY: the last reference is gone, so nobody holds the mutex or will again.
    unsafe _ = pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Runs `body` with the value while other threads wait; not to be nested.
  ///
  /// - Parameter body: what to do with the value.
  /// - Returns: what `body` returned.
  /// - Throws: what `body` threw.
  package func withLock<Result, Failure>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: locked and unlocked by this thread, in pairs.
    unsafe _ = pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
