/// Parses the words of a command line: options in any order among positional arguments.
///
/// - `--name value` and `--name=value` mean the same, and so do `--some_name` and `--some-name`.
/// - The value of an option that needs one is the next word, also if that begins with one hyphen
///   (`--learning_rate -0.1`), but not if it begins with two; write `--name=--value` then.
/// - The value of an option that may have one is the next word if that does not begin with `-`.
/// - An option given twice has its last value, so that a wrapper's can be overridden, unless it
///   was declared to be repeated.
/// - `--` ends the options; `-` alone is a positional argument. There are no one-letter options and
///   no abbreviations: what a script says today must not change its meaning with a later option.
package struct OptionParser: Sendable {
  /// What an option takes.
  package enum Kind: Hashable, Sendable {
    /// Nothing.
    case flag
    /// A value.
    case value
    /// A value; given again, all count, in order.
    case repeated
    /// A value or none.
    case optionalValue
  }

  /// The words that belong to no option, in order.
  package private(set) var positionals: [String] = []
  /// By canonical name, the value of each occurrence; nil for an occurrence without a value.
  private var occurrences: [String: [String?]] = [:]
  /// Every option that was given, by the name that the program declares, with its value, in order.
  package private(set) var inOrder: [(name: String, value: String?)] = []
  private let options: [String: (name: String, kind: Kind)]

  /// Parses `words`, without the program's name.
  ///
  /// - Parameters:
  ///   - words: What was typed.
  ///   - kinds: The options by name, without hyphens in front; messages spell them the same.
  /// - Throws: ``UsageError`` saying what to type instead.
  /// - Precondition: No two names differ only in underscores and hyphens.
  package init(_ words: [String], kinds: [String: Kind]) throws(UsageError) {
    options = Dictionary(
      uniqueKeysWithValues: kinds.map { (Self.canonical($0.key), (name: $0.key, kind: $0.value)) })
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        positionals += rest
        return
      }
      guard word.begins(with: "-"), word != "-" else {
        positionals.append(word)
        continue
      }
      let (name, attached) = Self.split(word)
      guard word.begins(with: "--"), let option = options[name] else { throw unknown(word) }
      let value = try Self.value(of: option.name, option.kind, attached: attached, &rest)
      occurrences[name, default: []].append(value)
      inOrder.append((option.name, value))
    }
  }

  private static func value(
    of name: String, _ kind: Kind, attached: String?, _ rest: inout ArraySlice<String>
  ) throws(UsageError) -> String? {
    switch kind {
    case .flag:
      guard let attached else { return nil }
      throw UsageError("--\(name) takes no value; it was given '\(attached)'.")
    case .value, .repeated:
      if let attached { return attached }
      guard let next = rest.first else { throw UsageError("--\(name) needs a value.") }
      guard !next.begins(with: "--") else {
        throw UsageError(
          "--\(name) needs a value, and '\(next)' looks like another option. "
            + "If it is the value, write --\(name)=\(next).")
      }
    case .optionalValue:
      if let attached { return attached }
      guard let next = rest.first, !next.begins(with: "-") else { return nil }
    }
    return rest.popFirst()
  }

  /// Splits `--name=value` into its canonical name and its value.
  private static func split(_ word: String) -> (name: String, attached: String?) {
    let body = word.utf8.drop { $0 == UInt8(ascii: "-") }
    guard let equals = body.firstIndex(of: UInt8(ascii: "=")) else {
      return (canonical(Substring(body)), nil)
    }
    return (canonical(Substring(body[..<equals])), String(Substring(body[equals...].dropFirst())))
  }

  /// Underscores and hyphens are alike; upper and lower case are not.
  private static func canonical(_ name: some StringProtocol) -> String {
    String(
      decoding: name.utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
  }

  private func unknown(_ word: String) -> UsageError {
    let typed =
      word.begins(with: "--") ? word.utf8.prefix { $0 != UInt8(ascii: "=") } : word.utf8[...]
    let closest = closestName(to: Self.split(word).name, among: options.keys.sorted())
    let suggestion = closest.flatMap { options[$0] }.map { " Did you mean --\($0.name)?" }
    return UsageError("There is no option '\(Substring(typed))'." + (suggestion ?? ""))
  }

  // MARK: What was said

  /// Whether there is such an option.
  package func declares(_ name: String) -> Bool { options[Self.canonical(name)] != nil }

  /// Whether the option was given, with or without a value.
  package func has(_ name: String) -> Bool { !all(name).isEmpty }

  /// The value of the last occurrence; nil also if that has none.
  package func string(_ name: String) -> String? { all(name).last ?? nil }

  /// The values of all occurrences, in order.
  package func strings(_ name: String) -> [String] { all(name).compactMap { $0 } }

  private func all(_ name: String) -> [String?] {
    precondition(options[Self.canonical(name)] != nil, "the program declares no option --\(name)")
    return occurrences[Self.canonical(name)] ?? []
  }
}

extension String {
  /// `hasPrefix` by bytes: a hyphen is a hyphen also before a combining character.
  fileprivate func begins(with prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
}
