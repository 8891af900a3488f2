/// The changes of one file or directory that a crash may undo, in order.
struct UnsyncedChanges<Change: Sendable>: Sendable {
  private enum Fate {
    /// The next sync makes it durable.
    case open
    /// A failed sync forgot it: it may or may not be on the disk, and no sync will change that.
    case lost
    /// Durable, but listed still, since it came after a lost change.
    case durable
  }

  private var entries: [(change: Change, fate: Fate)] = []

  /// How many changes a crash decides about.
  var uncertainCount: Int { entries.count { $0.fate != .durable } }

  mutating func append(_ change: Change) { entries.append((change, .open)) }

  /// A sync that succeeded.
  ///
  /// - Returns: whether all changes are durable now, and forgotten here.
  mutating func sync() -> Bool {
    if !entries.contains(where: { $0.fate == .lost }) {
      entries = []
      return true
    }
    for index in entries.indices where entries[index].fate == .open {
      entries[index].fate = .durable
    }
    return false
  }

  /// A sync that failed: what it should have written counts as clean, and is never written again.
  mutating func lose() {
    for index in entries.indices where entries[index].fate == .open { entries[index].fate = .lost }
  }

  /// Calls `body` for the durable changes and those of the others that `isKept` chooses by their
  /// ordinal among the uncertain ones, which is nil for the durable ones.
  func replay(where isKept: (Int) -> Bool, _ body: (Change, _ ordinal: Int?) -> Void) {
    var ordinal = 0
    for (change, fate) in entries {
      if fate == .durable {
        body(change, nil)
      } else {
        if isKept(ordinal) { body(change, ordinal) }
        ordinal += 1
      }
    }
  }

  var possible: [Change] { entries.map(\.change) }
}
