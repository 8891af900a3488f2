internal import CheckpointEngine
internal import CommandLineTool

/// The command line of ckpt.
///
/// Each command stands in a file of its own, with its help.
enum CheckpointCommand {
  static func main() -> Never {
    CommandLineProgram(
      name: "ckpt", version: StoreOptions.libraryVersion, help: help,
      commands: [
        ListCommand.command, PinCommand.pin, PinCommand.unpin,
        ShowCommand.command, DiffCommand.command, CatCommand.command, PruneCommand.command,
        SalvageCommand.command, DoctorCommand.command,
      ]
    ).main()
  }

  private static let help = """
    Shows what is in checkpoints and their stores, and what to do with them.

    usage: ckpt COMMAND ARGUMENTS [options]

    In a store, which is a directory of checkpoints:
      ls DIR           List its checkpoints and the tree of its runs.
      pin FILE...      Keep checkpoints from being removed by retention.
      unpin FILE...    Let them be removed again.
      prune DIR RULES  Remove those that no rule keeps.

    Of a checkpoint, or the newest of a store:
      show FILE        Show what is in it.
      diff A B         Compare the states of two.
      cat FILE TENSOR  Print the elements of a tensor.

    With a file that is damaged:
      salvage DAMAGED TARGET
                       Copy what is intact of it into a new file.

    With a directory that is to hold a store:
      doctor DIR       Try what its file system does, and say what that is worth.

    'ckpt COMMAND --help' tells more, with an example. Names of tensors that could
    steer a terminal are shown with escapes.

      --help           Print this.
      --version        Print the version.
      --completion SHELL  Print completions for bash or zsh.
      --man            Print the manual page.

    'ckpt-verify' tells whether checkpoints are intact.

    exit status, if a command's help does not say otherwise:
       0  done
       1  the command found a difference or damage
       2  something could not be read or written, or is not there
       3  something needs a newer build or larger limits
      64  the command line has no meaning
    """
}

extension Subcommand {
  /// A command whose errors are told, and decide the exit status.
  init(
    _ name: String, kinds: [String: OptionParser.Kind] = [:], help: String,
    _ body: @escaping @Sendable (OptionParser) throws -> ExitStatus
  ) {
    self.init(name: name, help: help, kinds: kinds) { (options) throws(UsageError) in
      let status: ExitStatus
      do {
        status = try body(options)
      } catch let error as UsageError {
        throw error
      } catch {
        StandardStreams.writeError("ckpt \(name): \(error)")
        status = (error as? CheckpointError)?.code == .unsupported ? .unsupported : .cannotTell
      }
      return status == .success && StandardStreams.hasOutputFailed ? .cannotTell : status
    }
  }
}
