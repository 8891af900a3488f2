/// What a person typed and the program cannot use.
package struct UsageError: Error, Hashable, CustomStringConvertible {
  /// What is wrong, and what would be right.
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// Parses the words of a command line.
///
/// `--name value` and `--name=value` are alike, and so are underscores and hyphens in names. An
/// optional value is the next word unless that begins with a hyphen. `--` ends the options. An
/// option given twice has its last value.
package struct OptionParser {
  /// What an option takes.
  package enum Kind: Hashable, Sendable {
    case flag, value, optionalValue
  }

  private let kinds: [String: Kind]
  private var values: [String: String?] = [:]
  /// The words that belong to no option, in order.
  package private(set) var positionals: [String] = []

  /// Parses `words`, without the program's name.
  ///
  /// - Parameters:
  ///   - words: What was typed.
  ///   - kinds: The options by name, spelled with underscores and without hyphens in front.
  /// - Throws: ``UsageError`` saying what to type instead.
  package init(_ words: [String], kinds: [String: Kind]) throws(UsageError) {
    self.kinds = kinds
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        positionals += rest
        return
      }
      guard word.hasPrefix("-"), word != "-" else {
        positionals.append(word)
        continue
      }
      try parseOption(word, &rest)
    }
  }

  private mutating func parseOption(
    _ word: String, _ rest: inout ArraySlice<String>
  ) throws(UsageError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let spelled = String(parts[0])
    let name = Self.canonical(spelled)
    guard spelled.hasPrefix("--"), let kind = kinds[name] else { throw unknown(spelled) }
    let attached = parts.count == 2 ? String(parts[1]) : nil
    switch kind {
    case .flag:
      guard attached == nil else { throw UsageError("\(spelled) takes no value.") }
      values[name] = .some(nil)
    case .value:
      guard let value = attached ?? rest.popFirst() else {
        throw UsageError("\(spelled) needs a value.")
      }
      values[name] = value
    case .optionalValue:
      let next = rest.first.flatMap { $0.hasPrefix("-") ? nil : $0 }
      if attached == nil, next != nil { rest.removeFirst() }
      values[name] = .some(attached ?? next)
    }
  }

  /// Whether the option was given.
  package func has(_ name: String) -> Bool { values[name] != nil }

  /// The option's value; nil if it was not given, or given without one.
  package func string(_ name: String) -> String? { values[name] ?? nil }

  /// The option's value as a number within `range`.
  package func integer<Number: FixedWidthInteger>(
    _ name: String, in range: ClosedRange<Number>
  ) throws(UsageError) -> Number? {
    guard let text = string(name) else { return nil }
    guard let value = Number(text), range.contains(value) else {
      let bounds =
        range.upperBound == .max
        ? "\(range.lowerBound) or more" : "from \(range.lowerBound) to \(range.upperBound)"
      throw UsageError("--\(name) must be a whole number, \(bounds), and not '\(text)'.")
    }
    return value
  }

  /// The option's value as a finite number.
  package func number<Number: BinaryFloatingPoint & LosslessStringConvertible>(
    _ name: String, as type: Number.Type
  ) throws(UsageError) -> Number? {
    guard let text = string(name) else { return nil }
    guard let value = Number(text), value.isFinite else {
      throw UsageError("--\(name) must be a number, and not '\(text)'.")
    }
    return value
  }

  private static func canonical(_ spelled: String) -> String {
    String(spelled.drop { $0 == "-" }.map { $0 == "-" ? "_" : $0 })
  }

  private func unknown(_ spelled: String) -> UsageError {
    let name = Self.canonical(spelled)
    let nearest = kinds.keys.sorted()
      .map { (name: $0, distance: Self.distance($0, name)) }
      .min { $0.distance < $1.distance }
    guard let nearest, nearest.distance <= max(2, name.count / 3) else {
      return UsageError("There is no option \(spelled).")
    }
    return UsageError("There is no option \(spelled). Did you mean --\(nearest.name)?")
  }

  /// How many letters to change, add or leave out (Levenshtein distance).
  private static func distance(_ left: String, _ right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in right.enumerated() {
        let above = row[j + 1]
        row[j + 1] = a == b ? diagonal : min(diagonal, above, row[j]) + 1
        diagonal = above
      }
    }
    return row[right.count]
  }
}
