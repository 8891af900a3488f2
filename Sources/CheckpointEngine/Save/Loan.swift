internal import CheckpointStorage

/// Bytes of a caller that are copied once, by whichever of two threads comes first.
///
/// A worker that copies what it is about to encode has it in its own cache then; if none is free, the caller need
/// not wait for one.
@safe
final class Loan {
  private enum State { case none, offered, copying, done }

  private let state = Protected(State.none)
  // SAFETY: set while nothing is offered, and used by the one thread that has changed the state to `copying`; the
  // lender keeps both alive until `settle` has returned.
  private var source = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private var target = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// Offers bytes, lent until ``settle()`` has returned on the caller's thread.
  func begin(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
    // SAFETY: see above.
    unsafe self.source = source
    unsafe self.target = target
    state.change { $0 = .offered }
  }

  /// Copies what was offered, or waits for the thread that does; when this returns it is done.
  func settle() {
    // SAFETY: see above.
    guard unsafe !copy(to: target) else { return }
    state.change(when: { $0 != .copying }) { _ in }
  }

  /// Copies what was offered to another place, unless another thread was the first.
  ///
  /// - Parameter target: As many bytes as were offered.
  /// - Returns: Whether it did.
  func copy(to target: UnsafeMutableRawBufferPointer) -> Bool {
    let isMine = state.change { state in
      guard state == .offered else { return false }
      state = .copying
      return true
    }
    guard isMine else { return false }
    unsafe precondition(target.count == source.count, "what was lent is copied whole")
    // SAFETY: both have the same length, and no other thread copies.
    unsafe target.copyMemory(from: source)
    state.change { $0 = .done }
    return true
  }
}
