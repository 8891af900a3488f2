internal import CheckpointEngine
internal import CommandLineTool

/// The command line of ckpt-verify.
enum VerifyCommand {
  /// Kept below this, since each thread has buffers of a few chunks.
  private static let jobCountMax = 1024

  static func main() -> Never {
    CommandLineProgram(
      name: "ckpt-verify", version: StoreOptions.libraryVersion, help: help,
      kinds: [
        "quick": .flag, "stored": .flag, "json": .flag, "limits": .value, "jobs": .value,
      ]
    ).main(run)
  }

  private static func run(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    guard !options.positionals.isEmpty else {
      throw UsageError("Name at least one checkpoint file or directory of checkpoints.")
    }
    let limits = try options.choice("limits", of: LimitsChoice.allCases) ?? .default
    let verifier = Verifier(
      limits: limits.limits, threads: try options.integer("jobs", in: 1...jobCountMax))
    var run = VerifyRun(
      verifier: verifier, level: try level(options),
      results: options.has("json") ? JSONResults() : TextResults())
    return run.verify(options.positionals)
  }

  private static func level(_ options: OptionParser) throws(UsageError) -> VerificationLevel {
    switch (options.has("quick"), options.has("stored")) {
    case (true, true): throw UsageError("--quick and --stored exclude each other.")
    case (true, false): .quick
    case (false, true): .stored
    case (false, false): .full
    }
  }

  private enum LimitsChoice: String, CaseIterable {
    case `default`, strict

    var limits: Limits { self == .strict ? .strict : .default }
  }

  private static let help = """
    Tells whether checkpoints are intact. Reads only; repairs nothing.

    usage: ckpt-verify PATH... [options]

    PATH is a checkpoint file, or a directory of checkpoints, which are verified
    oldest first. Files set aside as '.damaged' are verified only if named.

    By default every byte of a file is read, every chunk decoded, and both of its
    checksums compared.

      --quick          Read the header, tables and trailer, and no chunk.
      --stored         Compare the checksums of stored chunks; decode nothing.
      --limits WHICH   'default', or 'strict' for files from people you do not
                       trust: smaller tables and names are accepted.
      --jobs N         Use N threads, 1 to \(jobCountMax); by default one per processor.
      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.
      --version        Print the version.
      --completion SHELL  Print completions for bash or zsh.
      --man            Print the manual page.

    Standard output has one line per intact checkpoint and one per finding:
      ok           intact, as far as the level goes
      damaged      bytes are wrong or missing, or it is no regular file
      unreadable   it could not be read, or nothing is there
      unsupported  it needs a newer build or larger limits
    Progress, notes and a summary go to standard error.

    exit status:
       0  every checkpoint is intact
       1  damage was found
       2  no damage was found, but something could not be read or is not there
       3  neither, but something needs a newer build or larger limits
      64  the command line has no meaning

    examples:
      ckpt-verify runs/a
      ckpt-verify --stored --json runs/*/ > report.jsonl
      ckpt-verify --limits strict downloaded.ckpt && echo intact
    """
}
