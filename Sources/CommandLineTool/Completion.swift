/// What a shell completes of a command line: commands, options, and otherwise files.
struct Completion {
  private struct Word {
    let text: String
    let note: String
    var takesValue = false
  }

  private let name: String
  private let commands: [Word]
  private let options: [Word]
  private let optionsOfCommands: [(command: String, options: [Word])]

  init(
    _ name: String, help: String, kinds: [String: OptionParser.Kind], commands: [Subcommand]
  ) {
    self.name = name
    let page = HelpText(help)
    self.commands = commands.map { Word(text: $0.name, note: page.note(on: $0.name)) }
    options = Self.options(kinds, page)
    optionsOfCommands = commands.map { ($0.name, Self.options($0.kinds, HelpText($0.help))) }
  }

  private static func options(
    _ kinds: [String: OptionParser.Kind], _ help: HelpText
  ) -> [Word] {
    kinds.sorted { $0.key < $1.key }.map { name, kind in
      Word(
        text: "--" + name, note: help.note(on: "--" + name),
        takesValue: kind == .value || kind == .repeated)
    }
  }

  /// The name of a shell function: what is no letter becomes an underscore.
  private var function: String {
    "_" + String(name.map { $0.isLetter ? $0 : "_" })
  }

  /// For bash: source it, or put it where bash-completion looks.
  var bash: String {
    func texts(_ words: [Word]) -> String { words.map(\.text).joined(separator: " ") }
    let cases = optionsOfCommands.map { "    \($0.command)) words=\"\(texts($0.options))\" ;;" }
    return """
      # Completion of \(name) for bash.
      \(function)() {
        local current="${COMP_WORDS[COMP_CWORD]}" words
        case "${COMP_WORDS[1]}" in
      \(cases.joined(separator: "\n"))
          *) words="\(texts(options))" ;;
        esac
        if [ "$COMP_CWORD" -eq 1 ]; then words="\(texts(commands + options))"; fi
        COMPREPLY=()
        if [[ "$current" == -* \(commands.isEmpty ? "" : "|| $COMP_CWORD -eq 1 ")]]; then
          mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        fi
      }
      complete -o default -F \(function) \(name)
      """
  }

  /// For zsh: a file `_NAME` in a directory of `fpath`.
  var zsh: String {
    func argument(_ word: Word) -> String {
      let note = Self.quoted(word.note, escaping: ["[", "]", ":", "\\"])
      return
        "'*\(word.text)\(word.takesValue ? "=" : "")[\(note)]\(word.takesValue ? ":value:_files" : "")'"
    }
    func arguments(_ words: [Word]) -> String {
      "_arguments " + (words.map(argument) + ["'*:file:_files'"]).joined(separator: " \\\n      ")
    }
    guard !commands.isEmpty else {
      return "#compdef \(name)\n# Completion of \(name) for zsh.\n\(arguments(options))"
    }
    let list = commands.map { "'\($0.text):\(Self.quoted($0.note, escaping: [":", "\\"]))'" }
    let cases = optionsOfCommands.map { "    \($0.command)) \(arguments($0.options)) ;;" }
    return """
      #compdef \(name)
      # Completion of \(name) for zsh.
      local -a commands
      commands=(\(list.joined(separator: " ")))
      if (( CURRENT == 2 )); then
        _describe command commands
        \(arguments(options))
      else
        case "$words[2]" in
      \(cases.joined(separator: "\n"))
        esac
      fi
      """
  }

  /// A note in single quotes, with what means something to zsh escaped.
  private static func quoted(_ note: String, escaping special: Set<Character>) -> String {
    note.reduce(into: "") { text, character in
      if character == "'" {
        text += "'\\''"
      } else {
        text += special.contains(character) ? "\\\(character)" : String(character)
      }
    }
  }
}
