internal import CheckpointEngine
internal import CommandLineTool

/// The command line of store-driver.
enum StoreDriver {
  static func main() -> Never {
    CommandLineProgram(
      name: "store-driver", version: StoreOptions.libraryVersion, help: help,
      kinds: [
        "writer": .value, "marks": .value, "neighbour": .value, "shut-down-after": .value,
        "shut-down-flag": .value, "mount": .value, "attempts": .value, "state-bytes": .value,
        "acknowledged": .value, "attempted": .value, "keep": .value, "read-only": .flag,
      ]
    ).main(run)
  }

  private static func run(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    switch options.positionals.first {
    case "play" where options.positionals.count >= 2: return try play(options)
    case "check" where options.positionals.count == 2: return try check(options)
    case "serve" where options.positionals.count == 1: return try serve()
    default: throw UsageError("Say 'play DIR WORD...', 'check DIR' or 'serve'.")
    }
  }

  private static func play(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    let path = options.positionals[1]
    var words: [Player.Word] = []
    for text in options.positionals.dropFirst(2) {
      guard let word = Player.Word(text) else { throw UsageError("What is '\(text)'?") }
      words.append(word)
    }
    let backend = MeddlingBackend(
      writer: try options.choice("writer", of: MeddlingBackend.Writer.allCases) ?? .ours,
      neighbourPath: options.string("neighbour"),
      shutDownIndex: try options.integer("shut-down-after", in: 0...1_000_000),
      shutDownFlag: try options.integer("shut-down-flag", in: 0...2) ?? 2,
      mountPath: options.string("mount") ?? path)
    let player = Player(
      path: path, backend: backend, marks: Marks(path: options.string("marks")),
      attemptCount: try options.integer("attempts", in: 1...10) ?? 1,
      stateByteCount: try options.integer("state-bytes", in: 64...(1 << 32)) ?? 40_000)
    return player.play(words) ? .success : .failure
  }

  private static func check(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    guard let acknowledged = SavedSet(options.string("acknowledged") ?? ""),
      let attempted = SavedSet(options.string("attempted") ?? "")
    else { throw UsageError("Checkpoints are listed as GENERATION:STEP,GENERATION:STEP.") }
    let checker = Checker(
      path: options.positionals[1], acknowledged: acknowledged, attempted: attempted,
      keptCount: try options.integer("keep", in: 1...1000), savesAgain: !options.has("read-only"))
    return checker.reportLine()
  }

  /// Checks one store for each line of standard input, so that no process has to be started for it:
  /// directory, acknowledged, attempted, kept (0 for all) and `save` or `read-only`, with tabs
  /// between.
  private static func serve() throws(UsageError) -> ExitStatus {
    while let line = readLine() {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard fields.count == 5, let acknowledged = SavedSet(fields[1]),
        let attempted = SavedSet(fields[2]), let keptCount = Int(fields[3])
      else { throw UsageError("'\(line)' is no line of 'serve'.") }
      let checker = Checker(
        path: fields[0], acknowledged: acknowledged, attempted: attempted,
        keptCount: keptCount > 0 ? keptCount : nil, savesAgain: fields[4] == "save")
      _ = checker.reportLine()
    }
    return .success
  }

  private static let help = """
    Drives a store for Tests/FileSystems/power_cut.py: writes, and checks what is left.

    usage: store-driver play DIR WORD... [options]
           store-driver check DIR --acknowledged LIST --attempted LIST [--keep N]
           store-driver serve

    Words of 'play', done in order after what is there was resumed:
      save:STEP  save a state that follows from the step
      retain:N   retention after an acknowledged save
      owed:N     retention that a dead process still owed
      forget     unlink every checkpoint, as a program that deletes before it saves

      --writer NAME         'ours', or a weakened one: 'no-file-sync',
                            'no-directory-sync', 'naive' (temporary and rename
                            without any sync), 'retry-sync' (repeats a failed
                            fsync until it is reported as done),
                            'no-write-check' (takes a failed write for done)
      --marks FILE          tell what is tried and acknowledged there as well
      --neighbour FILE      write and fsync this file after every call, as
                            another program on the same file system may
      --shut-down-after N   FS_IOC_SHUTDOWN after the N-th call that changes
                            something, of the file system of --mount DIR
      --shut-down-flag F    1 with a flush of the log, 2 without
      --attempts N          try a save N times before giving up
      --state-bytes N       size of the state (40000)

    'check' recovers and verifies everything, saves once more (not with
    --read-only), and prints 'ok ...' or 'violation ...'. LIST is
    GENERATION:STEP,... Standard input of 'serve' has one such check a line.

    exit status: 0 done or ok, 1 a save failed or a violation, 64 usage
    """
}
