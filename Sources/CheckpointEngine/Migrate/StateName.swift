internal import CheckpointFormat

/// A name compared by its bytes, as the format does.
package struct StateName: Hashable, Sendable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (left: StateName, right: StateName) -> Bool {
    left.text.hasSameBytes(as: right.text)
  }

  package func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}

extension Sequence<StateName> {
  /// The texts in the order of their bytes, in which they are told to people.
  package var inOrder: [String] {
    map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
