import Synchronization

/// The indices of one parallel loop, which several threads take from in ascending order.
// SAFETY (@unchecked Sendable): `count` never changes and `next` is atomic. `body` is written by
// the thread that owns the loop, in `end`, after it has waited for every other thread's `run`
// through the mutex of the job queue. What `body` itself touches is the duty of
// `WorkerPool.forEach`'s caller, as its documentation says.
final class ParallelLoop: @unchecked Sendable {
  private let count: Int
  private let next = Atomic<Int>(0)
  private var body: ((Int) -> Void)?

  init(count: Int, body: @escaping (Int) -> Void) {
    self.count = count
    self.body = body
  }

  /// Takes indices until none is left.
  func run() {
    guard let body else { return }
    while true {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if index >= count { return }
      body(index)
    }
  }

  /// Lets go of the body, which does not live longer than the call it was given to.
  func end() { body = nil }
}
