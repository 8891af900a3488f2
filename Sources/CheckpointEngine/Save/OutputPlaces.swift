internal import CheckpointStorage

/// Where in the file the output of each slot goes, as soon as the one before knows how long it is.
///
/// Slots are encoded at the same time. Each takes its turn in the order of the file, so that the bytes do not
/// depend on which is done first.
final class OutputPlaces: Sendable {
  private struct State {
    /// How many slots have their place.
    var turn = 0
    /// Where the next begins.
    var end: UInt64
  }

  private let state: Protected<State>

  /// - Parameter start: Where the first slot begins.
  init(from start: UInt64) { state = Protected(State(end: start)) }

  /// Waits for the slots before, which must have begun, and takes the next bytes of the file.
  ///
  /// - Parameters:
  ///   - byteCount: How many.
  ///   - turn: Whose turn it is: how many slots come before.
  /// - Returns: Where they begin.
  func take(_ byteCount: Int, turn: Int) -> UInt64 {
    state.change(when: { $0.turn == turn }) { state in
      state.turn += 1
      defer { state.end += UInt64(byteCount) }
      return state.end
    }
  }
}
