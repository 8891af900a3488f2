/// A manual page, as `man` reads it, of what `--help` says.
///
/// - SeeAlso: man-pages(7), groff_man(7).
struct ManualPage {
  /// The source of the page.
  let text: String

  init(_ name: String, version: String, help: String, commands: [Subcommand]) {
    let page = HelpText(help)
    var lines = [
      ".TH \"\(name.uppercased())\" 1 \"\" \"swift-checkpoint \(version)\" \"User Commands\"",
      ".SH NAME", "\(Self.escaped(name)) \\- \(Self.escaped(page.summary))", ".SH SYNOPSIS",
    ]
    lines += Self.verbatim(page.synopsis) + [".SH DESCRIPTION"]
    for block in page.blocks { lines += Self.lines(block, heading: ".SH") }
    if !commands.isEmpty { lines.append(".SH COMMANDS") }
    for command in commands {
      let part = HelpText(command.help)
      lines.append(".SS \"\(name) \(command.name)\"")
      lines += Self.verbatim(part.synopsis)
      for block in part.blocks { lines += Self.lines(block, heading: nil) }
    }
    text = lines.joined(separator: "\n")
  }

  private static func lines(_ block: HelpText.Block, heading: String?) -> [String] {
    switch block {
    case .paragraph(let text): [".PP", escaped(text)]
    case .heading(let text):
      heading.map { ["\($0) \"\(text.uppercased())\""] } ?? [".PP", ".B \"\(escaped(text))\""]
    case .lines(let lines): verbatim(lines)
    }
  }

  private static func verbatim(_ lines: [String]) -> [String] {
    [".PP", ".nf"] + lines.map(escaped) + [".fi"]
  }

  /// Backslashes are commands, and so are points and quotes in front; a hyphen is that of options.
  private static func escaped(_ line: String) -> String {
    var result = ""
    for character in line {
      switch character {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      default: result.append(character)
      }
    }
    return result.hasPrefix(".") || result.hasPrefix("'") ? "\\&" + result : result
  }
}
