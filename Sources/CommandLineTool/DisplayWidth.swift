extension String {
  /// How many columns of a terminal the text takes, as far as that can be told: East Asian wide characters
  /// and pictures take two, what combines with the character before it none.
  ///
  /// - SeeAlso: Unicode Standard Annex 11, whose property this comes near to by ranges.
  package var displayWidth: Int { unicodeScalars.reduce(0) { $0 + $1.displayWidth } }

  /// The text with spaces behind it, or in front, so that it takes at least `width` columns.
  package func padded(to width: Int, alignedRight: Bool = false) -> String {
    let space = String(repeating: " ", count: max(0, width - displayWidth))
    return alignedRight ? space + self : self + space
  }

  /// As much of the text as takes at most `width` columns, with dots in the place of what is left out.
  ///
  /// - Parameters:
  ///   - width: At least 3.
  ///   - place: What is left out: the middle of a name, whose two ends both tell it apart, or the end.
  /// - Returns: The text, or a part of it.
  package func shortened(to width: Int, at place: Omission) -> String {
    guard displayWidth > width else { return self }
    let room = max(0, width - 3)
    let front = Self.prefix(unicodeScalars, place == .end ? room : room / 2)
    guard place == .middle else { return front + "..." }
    let back = Self.prefix(unicodeScalars.reversed(), room - room / 2)
    return front + "..." + String(String.UnicodeScalarView(back.unicodeScalars.reversed()))
  }

  /// Where a text is cut.
  package enum Omission: Hashable, Sendable { case middle, end }

  private static func prefix(_ scalars: some Sequence<Unicode.Scalar>, _ width: Int) -> String {
    var result = ""
    var rest = width
    for scalar in scalars {
      rest -= scalar.displayWidth
      guard rest >= 0 else { break }
      result.unicodeScalars.append(scalar)
    }
    return result
  }
}

extension Unicode.Scalar {
  fileprivate var displayWidth: Int {
    guard value >= 0x300 else { return 1 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark: return 0
    default: break
    }
    let isWide =
      switch value {
      case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
        0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF,
        0x20000...0x3FFFD:
        true
      default: false
      }
    return isWide ? 2 : 1
  }
}
