#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Colours of standard output, for people at a terminal: the words are the same without them.
///
/// - SeeAlso: no-color.org, and ECMA-48, 8.3.117, select graphic rendition.
package struct Colors: Sendable {
  /// What a word says of a checkpoint.
  package enum Tone: String, CaseIterable, Sendable {
    case good = "32"
    case caution = "33"
    case bad = "31"
  }

  /// Those of this process's standard output.
  package static let output = Colors(
    isTerminal: StandardStreams.isTerminal(STDOUT_FILENO), environment: variable)

  private let isEnabled: Bool

  /// Colours if the output is a terminal that has them and nobody has said that they are not wanted.
  ///
  /// - Parameters:
  ///   - isTerminal: Whether the output is one.
  ///   - environment: The value of a variable of the environment.
  package init(isTerminal: Bool, environment: (String) -> String?) {
    let isWanted = (environment("NO_COLOR") ?? "").isEmpty
    let hasColors = !["", "dumb"].contains(environment("TERM") ?? "")
    isEnabled = isTerminal && isWanted && hasColors
  }

  /// The text in its colour; in none, unchanged.
  ///
  /// What comes back is for the end of a line, or has been padded before: it has more characters than columns.
  package func paint(_ text: String, _ tone: Tone?) -> String {
    guard isEnabled, let tone, !text.isEmpty else { return text }
    return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
  }

  /// A line of which the first word has a colour.
  package func paintFirstWord(of line: String, _ tone: Tone?) -> String {
    let end = line.firstIndex(of: " ") ?? line.endIndex
    return paint(String(line[..<end]), tone) + line[end...]
  }

  private static func variable(_ name: String) -> String? {
    // SAFETY: nothing in a tool sets variables, and the terminated text is copied at once.
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}
