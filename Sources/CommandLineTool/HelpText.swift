/// A text of `--help`, taken apart: manual pages and completions are made of it, so that nothing is said
/// twice.
///
/// Lines at the left are prose, or a heading if they stand alone and end with a colon; `usage: …` is the
/// synopsis; what is indented stays as it is.
struct HelpText {
  enum Block: Hashable {
    case paragraph(String)
    case heading(String)
    /// Lines that stay as they are.
    case lines([String])
  }

  /// The lines behind `usage:`, aligned with each other.
  private(set) var synopsis: [String] = []
  private(set) var blocks: [Block] = []

  init(_ text: String) {
    var paragraph: [String] = []
    var lines: [String] = []
    var isSynopsis = false
    func close(_ blocks: inout [Block]) {
      if !paragraph.isEmpty { blocks.append(.paragraph(paragraph.joined(separator: " "))) }
      if !lines.isEmpty { blocks.append(.lines(lines)) }
      (paragraph, lines) = ([], [])
    }
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      if line.hasPrefix("usage: ") {
        close(&blocks)
        isSynopsis = true
        synopsis.append(String(line.dropFirst("usage: ".count)))
      } else if line.isEmpty {
        close(&blocks)
        isSynopsis = false
      } else if isSynopsis {
        synopsis.append(String(line.dropFirst("usage: ".count)))
      } else if line.hasPrefix(" ") {
        if !paragraph.isEmpty { close(&blocks) }
        lines.append(line)
      } else if line.hasSuffix(":"), paragraph.isEmpty, lines.isEmpty, line.utf8.count < 20 {
        blocks.append(.heading(String(line.dropLast())))
      } else {
        if !lines.isEmpty { close(&blocks) }
        paragraph.append(line)
      }
    }
    close(&blocks)
  }

  /// The first sentence of the first paragraph, without its full stop.
  var summary: String {
    guard case .paragraph(let text)? = blocks.first else { return "" }
    return String(text.prefix { $0 != "." })
  }

  /// What is said of an option or a command, in the first line about it.
  func note(on word: String) -> String {
    for case .lines(let lines) in blocks {
      for line in lines {
        let words = line.drop { $0 == " " }
        guard words.hasPrefix(word),
          [" ", nil].contains(words.dropFirst(word.count).first)
        else { continue }
        // What takes a value names it; the note is behind two spaces.
        let parts = words.split(separator: "  ").map { $0.drop { $0 == " " } }
        return parts.count > 1 ? String(parts[1]) : ""
      }
    }
    return ""
  }
}
