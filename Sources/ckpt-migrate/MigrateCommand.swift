internal import CheckpointEngine
internal import CommandLineTool

/// The command line of ckpt-migrate.
enum MigrateCommand {
  private static let jobCountMax = 1024

  static func main() -> Never {
    let own: [String: OptionParser.Kind] = [
      "in-store": .value, "keep-originals": .value, "to": .value, "plan": .value,
      "dry-run": .flag, "json": .flag, "jobs": .value,
    ]
    CommandLineProgram(
      name: "ckpt-migrate", version: StoreOptions.libraryVersion, help: help,
      kinds: own.merging(StepOptions.kinds) { own, _ in own }
    ).main(run)
  }

  private static func run(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    let plan = try plan(options)
    let results = MigrationResults(asJSON: options.has("json"))
    let storeOptions = StoreOptions(
      compression: .always, threads: try options.integer("jobs", in: 1...jobCountMax),
      writer: "ckpt-migrate \(StoreOptions.libraryVersion)")
    let paths = options.positionals
    if let store = options.string("in-store") {
      guard paths.isEmpty else {
        throw UsageError("--in-store names the only directory; '\(paths[0])' is too much.")
      }
      return StoreRun(
        path: store, plan: plan, options: storeOptions, results: results,
        originals: options.string("keep-originals")
      ).run(isDry: options.has("dry-run"))
    }
    guard !options.has("keep-originals") else {
      throw UsageError("--keep-originals belongs to --in-store; a single source is never changed.")
    }
    guard paths.count == 2 else {
      throw UsageError("Name a checkpoint file and where to write the new one, or --in-store DIR.")
    }
    return FileRun(
      source: paths[0], destination: paths[1], plan: plan, options: storeOptions, results: results
    ).run(isDry: options.has("dry-run"))
  }

  private static func plan(_ options: OptionParser) throws(UsageError) -> MigrationPlan {
    let file = try options.string("plan").map { (path) throws(UsageError) in
      try PlanFile(path: path)
    }
    let version = try options.integer("to", in: 1...UInt32.max)
    let known = FormatVersion.allCases.map { "\($0.rawValue)" }.joined(separator: ", ")
    var target = try file?.version() ?? .current
    if let version {
      guard let chosen = FormatVersion(rawValue: version) else {
        throw UsageError("--to: this build knows the format versions \(known).")
      }
      target = chosen
    }
    return MigrationPlan(to: target, try (file?.stateSteps() ?? []) + StepOptions.steps(options))
  }

  private static let help = """
    Makes new checkpoints of old ones: of another format version, or with tensors
    renamed, converted, taken apart. Never changes its source.

    usage: ckpt-migrate SOURCE DESTINATION [options] [steps]
           ckpt-migrate --in-store DIR [options] [steps]

    The result is written beside its place, read again and compared with its source,
    and only then named. It keeps the identifiers, the step, the lineage and the
    mode, and records what was done to it. Run it as the user who owns the files.

      --to VERSION     Format version of the result, 1 or 2; by default \(FormatVersion.current.rawValue).
      --in-store DIR   Migrate every checkpoint of a store, oldest first; each new
                       file takes the old one's name in one step. May be stopped at
                       any moment and run again. No run may have the store open.
      --keep-originals DIR
                       Keep the files that --in-store replaces; needed if the steps
                       lose anything.
      --dry-run        Say what would be done and what room it needs; write nothing.
      --plan FILE      Take version and steps from a file, as docs/json.md says.
      --jobs N         Use N threads, 1 to \(jobCountMax); by default one per processor.
      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.
      --version        Print the version.
      --completion SHELL  Print completions for bash or zsh.
      --man            Print the manual page.

    Steps are done in the order in which they stand; names are those of 'ckpt show',
    and where a * is allowed, it stands for anything but /, and ** for that too.
      --rename OLD=NEW          a tensor, a value, or a scope with all that is in it
      --cast NAME=DTYPE         convert elements; too large is an error; with *,
                                of all floats that match
      --drop NAME               remove, * allowed
      --reshape NAME=2x3        another shape with as many elements
      --split NAME=A,B,C[@AXIS] equal parts along an axis, 0 by default
      --merge A,B,C=NAME[@AXIS] one behind the other along an axis
      --alias NEW=ORIGINAL      a second name for the same bytes
      --add NAME=DTYPE:2x3      a tensor of zeros

    exit status:
       0  done, or nothing was to be done
       1  a checkpoint is damaged, or the steps do not fit it
       2  something could not be read or written, or is not there
       3  something needs a newer build or larger limits
      64  the command line has no meaning

    examples:
      ckpt-migrate --in-store runs/a --dry-run
      ckpt-migrate old.ckpt new.ckpt --split 'attn/qkv=attn/q,attn/k,attn/v'
      ckpt-migrate a.ckpt b.ckpt --drop 'optimizer/**' --cast 'model/**=bfloat16'
    """
}
