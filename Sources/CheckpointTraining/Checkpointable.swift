/// Training state that can be saved and put back bit for bit.
///
/// A trainer conforms, and each of its parts may: ``StateWriter/scope(_:_:)`` composes them.
///
/// Laws:
/// - `save(to:)` is called at least twice in a row for each save, first to plan and then to write, on
///   the thread that asked for the save; once more where the state is checked, or written again. All
///   of them must make the same calls in the same order with the
///   same names, shapes and values; so it must not change anything, and must not depend on the
///   order of a Dictionary or Set.
/// - `restore(from:)` reads everything that `save(to:)` wrote, and leaves the state as it was when
///   it was saved. Before it, `save(to:)` is called once to plan, so that a checkpoint that does not
///   fit is refused before anything is restored: all that is saved must exist by then.
///
/// `CheckpointTesting` and ``stateDigest(of:)`` help to test both.
public protocol Checkpointable {
  /// The version of the meaning of this state; raise it when what is saved changes.
  ///
  /// Recorded for each scope. A checkpoint with a higher version than the program's is refused; one
  /// with a lower version is migrated as ``stateMigrations`` says. Where none are declared, it is given
  /// to `restore(from:)` as it is, with ``StateReader/stateVersion``: what it has more or less in that
  /// scope is then no error. Scopes within have their own version.
  static var stateVersion: Int { get }

  /// How state of older versions becomes state of this one; empty if `restore(from:)` reads it itself.
  static var stateMigrations: [StateMigration] { get }

  /// Names and provides everything that must come back.
  ///
  /// - Parameter state: Where to.
  /// - Throws: Anything; it aborts the save and reaches the caller unchanged.
  func save(to state: inout StateWriter) throws

  /// Puts back what was saved.
  ///
  /// - Parameter state: Where from.
  /// - Throws: Anything; the trainer may then be half restored and must not go on.
  mutating func restore(from state: StateReader) throws
}

extension Checkpointable {
  /// Version 1.
  public static var stateVersion: Int { 1 }
  /// None.
  public static var stateMigrations: [StateMigration] { [] }
}
