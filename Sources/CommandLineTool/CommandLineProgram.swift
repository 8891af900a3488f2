#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// What every tool does around its work: help, version, a manual page, completions for shells, and an answer
/// to a bad command line.
package struct CommandLineProgram: Sendable {
  private let name: String
  private let version: String
  private let help: String
  private let kinds: [String: OptionParser.Kind]
  private let commands: [Subcommand]

  /// A program that does one thing.
  ///
  /// - Parameters:
  ///   - name: The program's name.
  ///   - version: What `--version` prints behind the name.
  ///   - help: What `--help` prints.
  ///   - kinds: The options, besides `--help` and `--version`.
  package init(
    name: String, version: String, help: String, kinds: [String: OptionParser.Kind]
  ) {
    self.init(name: name, version: version, help: help, kinds: kinds, commands: [])
  }

  /// A program whose first word says what to do.
  ///
  /// - Parameters:
  ///   - name: The program's name.
  ///   - version: What `--version` prints behind the name.
  ///   - help: What `--help` prints where no command is named.
  ///   - commands: What it can do.
  package init(name: String, version: String, help: String, commands: [Subcommand]) {
    self.init(name: name, version: version, help: help, kinds: [:], commands: commands)
  }

  private init(
    name: String, version: String, help: String, kinds: [String: OptionParser.Kind],
    commands: [Subcommand]
  ) {
    self.name = name
    self.version = version
    self.help = help
    let shared: [String: OptionParser.Kind] = [
      "help": .flag, "version": .flag, "man": .flag, "completion": .value,
    ]
    self.kinds = kinds.merging(shared) { own, _ in own }
    self.commands = commands
  }

  /// Runs the program on the words of the command line and exits with its status.
  ///
  /// - Parameter body: The work; a ``UsageError`` it throws is answered like one of the parser.
  package func main(_ body: (OptionParser) throws(UsageError) -> ExitStatus) -> Never {
    StandardStreams.prepare()
    exit(status(Array(CommandLine.arguments.dropFirst()), name, help, kinds, body).rawValue)
  }

  /// Runs the command that the first word of the command line names and exits with its status.
  package func main() -> Never {
    StandardStreams.prepare()
    var words = CommandLine.arguments.dropFirst()
    // `ckpt help ls` is `ckpt ls --help`.
    if words.first == "help" { words = words.dropFirst() + ["--help"] }
    guard let command = commands.first(where: { $0.name == words.first }) else {
      // Whatever option it begins with, what is wrong is the command.
      let all = commands.reduce(into: kinds) { $0.merge($1.kinds) { own, _ in own } }
      exit(status(Array(words), name, help, all, refuse).rawValue)
    }
    let status = status(
      Array(words.dropFirst()), name + " " + command.name, command.help, command.kinds, command.run)
    exit(status.rawValue)
  }

  private func refuse(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    let names = commands.map(\.name)
    guard let word = options.positionals.first else {
      throw UsageError("Say what to do: \(names.joined(separator: ", ")).")
    }
    guard !names.contains(word) else { throw UsageError("The command comes first: '\(word)'.") }
    let hint = closestName(to: word, among: names).map { " Did you mean '\($0)'?" } ?? ""
    throw UsageError("There is no command '\(word)'.\(hint)")
  }

  private func status(
    _ words: [String], _ spelling: String, _ help: String, _ kinds: [String: OptionParser.Kind],
    _ body: (OptionParser) throws(UsageError) -> ExitStatus
  ) -> ExitStatus {
    // Whoever asks for help gets it, whatever else is wrong with the line.
    let optionWords = words.prefix { $0 != "--" }
    if optionWords.contains("--help") || optionWords.contains("-h") { return printed(help) }
    do {
      let options = try OptionParser(words, kinds: kinds)
      if options.has("version") { return printed("\(name) \(version)") }
      if let text = try described(options) { return printed(text) }
      return try body(options)
    } catch {
      StandardStreams.writeError("\(spelling): \(error.description)")
      StandardStreams.writeError("Run '\(spelling) --help' to see what it understands.")
      return .usage
    }
  }

  /// The manual page or a completion, if one was asked for; commands have none of their own.
  private func described(_ options: OptionParser) throws(UsageError) -> String? {
    guard options.declares("man") else { return nil }
    if options.has("man") {
      return ManualPage(name, version: version, help: help, commands: commands).text
    }
    let completion = Completion(name, help: help, kinds: kinds, commands: commands)
    switch options.string("completion") {
    case nil: return nil
    case "bash": return completion.bash
    case "zsh": return completion.zsh
    default: throw UsageError("--completion: there is one for 'bash' and one for 'zsh'.")
    }
  }

  private func printed(_ text: String) -> ExitStatus {
    StandardStreams.writeOutput(text)
    return StandardStreams.hasOutputFailed ? .cannotTell : .success
  }
}
