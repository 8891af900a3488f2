internal import CheckpointEngine
internal import CommandLineTool

/// The command line of ckpt.
enum CheckpointCommand {
  static func main() -> Never {
    CommandLineProgram(
      name: "ckpt", version: StoreOptions.libraryVersion, help: help, kinds: ["json": .flag]
    ).main(run)
  }

  private static func run(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    var words = options.positionals[...]
    guard let name = words.popFirst() else { throw UsageError("Say what to do, for example 'ls'.") }
    let arguments = Array(words)
    do {
      switch name {
      case "ls":
        if try !list(arguments, asJSON: options.has("json")) { return .cannotTell }
      case "pin", "unpin": try PinCommand(arguments, setsPin: name == "pin").run()
      default:
        let known = ["ls", "pin", "unpin"]
        let hint = closestName(to: name, among: known).map { " Did you mean '\($0)'?" } ?? ""
        throw UsageError("There is no command '\(name)'.\(hint)")
      }
    } catch let error as UsageError {
      throw error
    } catch {
      StandardStreams.writeError("ckpt: \(error)")
      return .cannotTell
    }
    return StandardStreams.hasOutputFailed ? .cannotTell : .success
  }

  /// Prints what is in a store; returns whether all of it could be read.
  private static func list(_ paths: [String], asJSON: Bool) throws -> Bool {
    guard paths.count == 1 else { throw UsageError("Name one directory of checkpoints.") }
    let listing = try Listing(of: paths[0])
    for line in asJSON ? listing.json : listing.lines { StandardStreams.writeOutput(line) }
    if listing.isEmpty {
      StandardStreams.writeError("ckpt: \(escaped(paths[0])) holds no checkpoint.")
    }
    return !listing.isIncomplete
  }

  private static let help = """
    Shows the checkpoints of a store, and keeps some of them from being removed.

    usage: ckpt ls DIR [--json]
           ckpt pin FILE...
           ckpt unpin FILE...

    ls      One line for each checkpoint, newest first: where it stands in the tree
            of its runs, step, generation, when it was saved, its size, what was
            measured, and what is special about it. A run that was resumed from an
            earlier checkpoint begins a branch, and what the newest one descends
            from has a star. Reads headers and indexes; 'ckpt-verify' the rest.
    pin     Retention does not remove these, in this run or a later one. May be done
            while training goes on.
    unpin   It may again.

      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.
      --version        Print the version.

    exit status:
       0  done
       2  something could not be read or written, or is not there
      64  the command line has no meaning

    example:
      ckpt ls runs/demo
       *  1500  g4  2026-11-27 21:10:05  1.2 MiB  eval_loss 2.31, from step 1000
      o|  1500  g3  2026-11-27 21:09:12  1.2 MiB  eval_loss 2.52
      *   1000  g2  2026-11-27 21:08:20  1.2 MiB  eval_loss 2.6, pinned
    """
}
