internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt ls`.
enum ListCommand {
  static let command = Subcommand("ls", kinds: ["json": .flag], help: help) { options in
    guard options.positionals.count == 1 else {
      throw UsageError("Name one directory of checkpoints.")
    }
    let path = options.positionals[0]
    let listing = try Listing(of: path)
    for line in options.has("json") ? listing.json : listing.lines {
      StandardStreams.writeOutput(line)
    }
    if listing.isEmpty {
      StandardStreams.writeError("ckpt ls: \(escaped(path)) holds no checkpoint.")
    }
    return listing.isIncomplete ? .cannotTell : .success
  }

  private static let help = """
    Lists the checkpoints of a store and the tree of its runs.

    usage: ckpt ls DIR [--json]

    One line for each checkpoint, newest first: where it stands in the tree of its
    runs, step, generation, when it was saved, its size, what was measured, and
    what is special about it. A run that was resumed from an earlier checkpoint
    begins a branch, and what the newest one descends from has a star. Reads
    headers and indexes; 'ckpt-verify' reads the rest.

      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.

    exit status:
       0  done
       2  something could not be read, or is not there
      64  the command line has no meaning

    example:
      ckpt ls runs/demo
       *  1500  g4  2026-11-27 21:10:05  1.2 MiB  eval_loss 2.31, from step 1000
      o|  1500  g3  2026-11-27 21:09:12  1.2 MiB  eval_loss 2.52
      *   1000  g2  2026-11-27 21:08:20  1.2 MiB  eval_loss 2.6, pinned
    """
}
