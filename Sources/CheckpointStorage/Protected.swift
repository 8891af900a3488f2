#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A value behind a mutex, whose changes threads can wait for.
///
/// - SeeAlso: C. A. R. Hoare, "Monitors: An Operating System Structuring Concept", 1974.
// SAFETY (@unchecked Sendable): `value` is only touched between lock and unlock. It is a pthread
// mutex since ThreadSanitizer reports Synchronization.Mutex falsely; it and the condition live at fixed addresses
// from init to deinit, and whoever uses it holds a reference to this object.
@safe package final class Protected<Value: Sendable>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var value: Value

  package init(_ value: Value) {
    self.value = value
    // SAFETY: initialised once, before any other thread can see them.
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe _ = pthread_mutex_init(mutex, nil)
    unsafe changed.initialize(to: pthread_cond_t())
    unsafe _ = pthread_cond_init(changed, nil)
  }

  deinit {
    // SAFETY: the last reference is gone, so nobody waits, or holds the mutex, or will again.
    unsafe _ = pthread_cond_destroy(changed)
    unsafe changed.deallocate()
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

  /// Waits until `condition` holds, changes the value while it does, and tells all that wait.
  ///
  /// Who waits for a change does not see those made by ``withLock(_:)``.
  ///
  /// - Parameters:
  ///   - condition: What must be true; asked again after each change.
  ///   - body: What to do with the value then.
  /// - Returns: What `body` returned.
  package func change<Result>(
    when condition: (Value) -> Bool = { _ in true }, _ body: (inout Value) -> Result
  ) -> Result {
    // SAFETY: locked and unlocked by this thread, in pairs, and the wait is under the lock.
    unsafe _ = pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    while !condition(value) { unsafe _ = pthread_cond_wait(changed, mutex) }
    defer { unsafe _ = pthread_cond_broadcast(changed) }
    return body(&value)
  }
}
