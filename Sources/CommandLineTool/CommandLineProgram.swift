#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// What every tool does around its work: help, version, and an answer to a bad command line.
package struct CommandLineProgram: Sendable {
  private let name: String
  private let version: String
  private let help: String
  private let kinds: [String: OptionParser.Kind]

  /// - Parameters:
  ///   - name: The program's name.
  ///   - version: What `--version` prints behind the name.
  ///   - help: What `--help` prints.
  ///   - kinds: The options, besides `--help` and `--version`.
  package init(
    name: String, version: String, help: String, kinds: [String: OptionParser.Kind]
  ) {
    self.name = name
    self.version = version
    self.help = help
    self.kinds = kinds.merging(["help": .flag, "version": .flag]) { own, _ in own }
  }

  /// Runs the program on the words of the command line and exits with its status.
  ///
  /// - Parameter body: The work; a ``UsageError`` it throws is answered like one of the parser.
  package func main(_ body: (OptionParser) throws(UsageError) -> ExitStatus) -> Never {
    StandardStreams.prepare()
    exit(status(Array(CommandLine.arguments.dropFirst()), body).rawValue)
  }

  private func status(
    _ words: [String], _ body: (OptionParser) throws(UsageError) -> ExitStatus
  ) -> ExitStatus {
    // Whoever asks for help gets it, whatever else is wrong with the line.
    let optionWords = words.prefix { $0 != "--" }
    if optionWords.contains("--help") || optionWords.contains("-h") { return printed(help) }
    do {
      let options = try OptionParser(words, kinds: kinds)
      if options.has("version") { return printed("\(name) \(version)") }
      return try body(options)
    } catch {
      StandardStreams.writeError("\(name): \(error.description)")
      StandardStreams.writeError("Run '\(name) --help' to see what it understands.")
      return .usage
    }
  }

  private func printed(_ text: String) -> ExitStatus {
    StandardStreams.writeOutput(text)
    return StandardStreams.hasOutputFailed ? .cannotTell : .success
  }
}
