internal import CheckpointEngine

/// The tree of runs, drawn beside their checkpoints: a column for each branch.
struct LineageTree {
  /// Beyond so many branches their numbers are told instead.
  private static let columnCountMax = 12

  /// One line for each checkpoint.
  let lines: [String]

  /// Draws checkpoints, newest first; nil for what has no place in the tree.
  init(_ nodes: [LineageNode?]) {
    let branchCount = (nodes.compactMap { $0?.branch }.max() ?? -1) + 1
    guard branchCount <= Self.columnCountMax else {
      lines = nodes.map { node in
        node.map { "\($0.branch)\($0.leadsToNewest ? "*" : "")" } ?? "-"
      }
      return
    }
    var numbers: [Identifier: Int] = [:]
    for (number, node) in nodes.enumerated() {
      if let identifier = node?.entry.header?.checkpointIdentifier { numbers[identifier] = number }
    }
    // The rows from the newest of a branch to where it begins.
    var rows = [ClosedRange<Int>?](repeating: nil, count: branchCount)
    for (number, node) in nodes.enumerated() {
      guard let node else { continue }
      // Above the checkpoint that it begins at.
      let end = node.ancestor.flatMap { numbers[$0] }.map { $0 - 1 } ?? number
      let first = rows[node.branch]?.lowerBound ?? number
      rows[node.branch] = first...max(end, first)
    }
    lines = nodes.enumerated().map { number, node in
      let text = (0..<branchCount).map { branch -> String in
        if node?.branch == branch { return node?.leadsToNewest == true ? "*" : "o" }
        return rows[branch]?.contains(number) == true ? "|" : " "
      }.joined()
      let end = text.lastIndex { $0 != " " }
      return end.map { String(text[...$0]) } ?? ""
    }
  }
}
