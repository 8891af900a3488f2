#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A value behind a mutex whose changes threads can wait for.
///
/// - SeeAlso: C. A. R. Hoare, "Monitors: An Operating System Structuring Concept", 1974.
// SAFETY (@unchecked Sendable): as for `Protected`; the condition lives as long as the mutex.
@safe package final class Monitor<Value: Sendable>: @unchecked Sendable {
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
    // SAFETY: the last reference is gone, so nobody waits or will again.
    unsafe _ = pthread_cond_destroy(changed)
    unsafe changed.deallocate()
    unsafe _ = pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Waits until `condition` holds, and changes the value while it does; tells all that wait.
  ///
  /// - Parameters:
  ///   - condition: What must be true; asked again after each change.
  ///   - body: What to do with the value then.
  /// - Returns: What `body` returned.
  package func change<Result>(
    when condition: (Value) -> Bool = { _ in true }, _ body: (inout Value) -> Result
  ) -> Result {
    // SAFETY: locked and unlocked by this thread, in pairs; the wait is under the lock.
    unsafe _ = pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    while !condition(value) { unsafe _ = pthread_cond_wait(changed, mutex) }
    defer { unsafe _ = pthread_cond_broadcast(changed) }
    return body(&value)
  }
}
