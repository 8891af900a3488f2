/// The names in a simulated directory: what a reader sees, and what a crash leaves for certain.
struct SimulatedDirectory: Sendable {
  /// A change that no sync of the directory has made durable; atomic.
  enum Change {
    case add(name: String, node: UInt64)
    case remove(name: String)
    case rename(name: String, target: String, node: UInt64)
  }

  /// What is durable but for ``changes``.
  private(set) var durable: [String: UInt64] = [:]
  /// What happened since, in order; a crash leaves any part of it.
  private(set) var changes = UnsyncedChanges<Change>()
  /// What a reader sees now.
  private(set) var entries: [String: UInt64] = [:]

  init() {}

  /// A directory that nothing is pending for, as after a reboot.
  init(settled entries: [String: UInt64]) {
    durable = entries
    self.entries = entries
  }

  mutating func change(_ change: Change) {
    Self.apply(change, to: &entries)
    changes.append(change)
  }

  mutating func sync() {
    if changes.sync() { durable = entries }
  }

  /// A sync that failed: readers still see the changes, which no later sync makes durable.
  mutating func loseChanges() {
    changes.lose()
  }

  /// Every file or directory that some crash could leave a name for.
  var possibleNodes: Set<UInt64> {
    var nodes = Set(durable.values).union(entries.values)
    for case .add(_, let node) in changes.possible { nodes.insert(node) }
    return nodes
  }

  static func apply(_ change: Change, to entries: inout [String: UInt64]) {
    switch change {
    case .add(let name, let node):
      entries[name] = node
    case .remove(let name):
      entries[name] = nil
    case .rename(let name, let target, let node):
      if entries[name] == node { entries[name] = nil }
      entries[target] = node
    }
  }
}
