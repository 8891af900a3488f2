/// One thing that a training program, or somebody beside it, does to a store.
package enum Action: Hashable, Sendable {
  case save(step: UInt64)
  case retain(last: Int)
  /// What a process does first that was resumed after another had died before its retention.
  case finishRetention(last: Int)
  /// The process ends, and the next one resumes from the newest checkpoint.
  case restart
  /// The next process resumes from a step that a person names.
  case goBack(step: UInt64)
  /// Reads the newest checkpoint: whole tensors, and some rows.
  case read
  /// Verifies every file of the store.
  case verify
  /// While a save is being written, another process tries to open the store for writing.
  case saveWhileAnotherOpens(step: UInt64)
  /// Somebody removed `.lock`: while a save is being written, another process opens the store.
  case saveWhileAJanitorRuns(step: UInt64)
  /// Locks do not work, as on some network file systems, and another process saves the same step
  /// under the same generation and the same temporary name.
  case saveWhileAnotherSaves(step: UInt64)
  /// While a save is being written, another process resumes read-only.
  case saveWhileAReaderResumes(step: UInt64)
  /// Retention while a reader holds the oldest checkpoint.
  case retainWhileHeld(last: Int)
  /// Marks the newest checkpoint as one that retention spares.
  case pin
  /// The disk changes a byte of the newest checkpoint's first chunk.
  case damage
  /// Somebody renames the newest checkpoint to `….ckpt.damaged`.
  case quarantine
  /// Resumes, and has what was passed over set aside.
  case setAside
  /// A run that fails saves what it has come to.
  case saveEmergency(step: UInt64)
  /// The store is on a file system from now on that has no transfers past the page cache.
  case refuseUncached(whenTried: Bool)
}

/// What is done to a store before anything goes wrong, and while it does.
package struct Scenario: Hashable, Sendable, CustomStringConvertible {
  package var name: String
  package var earlier: [Action]
  package var actions: [Action]

  package init(_ name: String, after earlier: [Action] = [], _ actions: [Action]) {
    self.name = name
    self.earlier = earlier
    self.actions = actions
  }

  package var description: String { name }

  /// The smallest number that retention is asked to keep; nil without retention.
  var keptCount: Int? {
    actions.compactMap { action in
      switch action {
      case .retain(let count), .finishRetention(let count), .retainWhileHeld(let count): count
      default: nil
      }
    }.min()
  }

  /// The scenarios that every call of is cut short and failed.
  package static let all: [Scenario] = [
    Scenario("first save", [.save(step: 1)]),
    Scenario("next save", after: [.save(step: 1)], [.save(step: 2)]),
    Scenario(
      "replace a step", after: [.save(step: 1), .save(step: 2)],
      [.goBack(step: 1), .save(step: 2)]),
    Scenario(
      "a lower step later", after: [.save(step: 1), .save(step: 5)],
      [.goBack(step: 1), .save(step: 2), .restart]),
    Scenario(
      "retention of one", after: [.save(step: 1), .save(step: 2)],
      [.save(step: 3), .retain(last: 1)]),
    Scenario(
      "retention of two", after: [.save(step: 1), .pin, .save(step: 2), .save(step: 3)],
      [.save(step: 4), .retain(last: 2)]),
    Scenario(
      "two saves with retention", after: [.save(step: 1)],
      [.save(step: 2), .retain(last: 1), .save(step: 3), .retain(last: 1)]),
    Scenario(
      "recovery", after: [.save(step: 1), .save(step: 2), .damage],
      [.restart, .save(step: 3), .restart]),
    Scenario(
      "recovery beside a quarantined file", after: [.save(step: 1), .save(step: 2), .quarantine],
      [.restart, .save(step: 3), .retain(last: 1)]),
    Scenario(
      "retention beside a damaged file",
      after: [.save(step: 1), .save(step: 2), .save(step: 3), .save(step: 4), .damage],
      [.restart, .save(step: 5), .retain(last: 3)]),
    Scenario(
      "owed retention", after: [.save(step: 1), .save(step: 2), .save(step: 3)],
      [.finishRetention(last: 1), .save(step: 4)]),
    Scenario(
      "setting a damaged file aside", after: [.save(step: 1), .save(step: 2), .damage],
      [.setAside, .save(step: 3), .retain(last: 1), .restart]),
    Scenario(
      "an emergency", after: [.save(step: 1), .save(step: 2)],
      [.saveEmergency(step: 3), .retain(last: 1), .restart, .save(step: 3), .retain(last: 1)]),
    Scenario(
      "a file system without direct writes",
      after: [.refuseUncached(whenTried: false), .save(step: 1)],
      [.save(step: 2), .save(step: 3), .retain(last: 1)]),
    Scenario(
      "a file system that refuses the first direct write",
      after: [.refuseUncached(whenTried: true), .save(step: 1)],
      [.restart, .save(step: 2), .save(step: 3), .retain(last: 1)]),
    Scenario("read", after: [.save(step: 1), .save(step: 2)], [.read]),
    Scenario("verify", after: [.save(step: 1), .save(step: 2)], [.verify]),
    Scenario(
      "two writers", after: [.save(step: 1)],
      [.saveWhileAnotherOpens(step: 2), .saveWhileAJanitorRuns(step: 3)]),
    Scenario(
      "two writers without locks", after: [.save(step: 1)],
      [.saveWhileAnotherSaves(step: 2), .save(step: 3)]),
    Scenario(
      "readers beside a save and retention", after: [.save(step: 1), .save(step: 2)],
      [.saveWhileAReaderResumes(step: 3), .retainWhileHeld(last: 1)]),
  ]
}
