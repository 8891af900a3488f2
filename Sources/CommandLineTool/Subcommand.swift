/// One of the things that a tool with several commands does: `ckpt ls`, `ckpt pin`.
package struct Subcommand: Sendable {
  let name: String
  let help: String
  let kinds: [String: OptionParser.Kind]
  let run: @Sendable (OptionParser) throws(UsageError) -> ExitStatus

  /// - Parameters:
  ///   - name: The word behind the tool's name.
  ///   - help: What `--help` behind the word prints.
  ///   - kinds: The options, besides `--help`.
  ///   - run: The work.
  package init(
    name: String, help: String, kinds: [String: OptionParser.Kind],
    run: @escaping @Sendable (OptionParser) throws(UsageError) -> ExitStatus
  ) {
    self.name = name
    self.help = help
    self.kinds = kinds.merging(["help": .flag, "version": .flag]) { own, _ in own }
    self.run = run
  }
}
