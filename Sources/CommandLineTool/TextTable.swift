/// Rows of texts in columns that are as wide as the widest text of each.
package struct TextTable: Sendable {
  /// On which side the texts of a column stand.
  package enum Side: Hashable, Sendable {
    case left
    case right
  }

  private let sides: [Side]
  private let indent: String
  private var rows: [[String]] = []

  /// - Parameters:
  ///   - sides: One for each column.
  ///   - indent: Stands in front of each line.
  package init(_ sides: [Side], indent: String = "") {
    self.sides = sides
    self.indent = indent
  }

  /// Adds a row; columns that it does not have are empty.
  package mutating func append(_ row: [String]) {
    precondition(row.count <= sides.count, "a row has no more texts than there are columns")
    rows.append(row)
  }

  /// The lines, without spaces at their ends; two spaces are between columns.
  package var lines: [String] {
    let widths = sides.indices.map { column in
      rows.map { column < $0.count ? $0[column].displayWidth : 0 }.max() ?? 0
    }
    return rows.map { row in
      let texts = sides.indices.compactMap { column -> String? in
        // A column that is empty in all rows takes no room.
        guard widths[column] > 0 else { return nil }
        let text = column < row.count ? row[column] : ""
        return text.padded(to: widths[column], alignedRight: sides[column] == .right)
      }
      var line = indent + texts.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }
}
