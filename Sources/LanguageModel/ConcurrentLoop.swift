import Dispatch
import Synchronization

/// Runs the iterations of a loop on several threads.
enum ConcurrentLoop {
  /// Calls `body` once for each index below `count`, on up to `threads` threads.
  ///
  /// `body` also gets the number of its thread, below `threads`, of which no two run at a time. It
  /// must not write anything that the call for another index or thread number touches.
  static func run(
    count: Int, threads: Int, _ body: (_ thread: Int, _ index: Int) -> Void
  ) {
    let next = Atomic(0)
    withoutActuallyEscaping(body) { body in
      // SAFETY: the caller vouches that calls for different indices and threads share nothing
      // that they write, each index is taken once, and all calls end before this function does.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: min(threads, count)) { thread in
        var index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        while index < count {
          unsafe body(thread, index)
          index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        }
      }
    }
  }
}
