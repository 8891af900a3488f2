internal import CheckpointEngine
internal import CommandLineTool

/// What the command line asked for.
struct VerifyOptions {
  var paths: [String]
  var level = VerificationLevel.full
  var limits = Limits.default
  var isJSON = false
  var threads: Int?

  /// Whether help or the version was asked for instead.
  enum Request { case verify(VerifyOptions), help, version }

  static func parse(_ words: [String]) throws(UsageError) -> Request {
    let parser = try OptionParser(
      words,
      kinds: [
        "quick": .flag, "stored": .flag, "json": .flag, "limits": .value, "jobs": .value,
        "help": .flag, "version": .flag,
      ])
    if parser.has("help") { return .help }
    if parser.has("version") { return .version }
    return .verify(try VerifyOptions(parser))
  }

  private init(_ parser: OptionParser) throws(UsageError) {
    paths = parser.positionals
    guard !paths.isEmpty else { throw UsageError("Name a checkpoint or a directory of them.") }
    guard !(parser.has("quick") && parser.has("stored")) else {
      throw UsageError("--quick and --stored exclude each other.")
    }
    if parser.has("quick") { level = .quick }
    if parser.has("stored") { level = .stored }
    isJSON = parser.has("json")
    threads = try parser.integer("jobs", in: 1...256)
    switch parser.string("limits") {
    case nil, "default": break
    case "strict": limits = .strict
    case let other?:
      throw UsageError("--limits is default or strict, and not '\(escaped(other))'.")
    }
  }

  /// The text of `--help`.
  static let help = """
    ckpt-verify says whether checkpoints are intact, and what is damaged if not.

    usage: ckpt-verify PATH… [--quick | --stored] [--limits default|strict]
                       [--jobs N] [--json]

      PATH       a checkpoint, or a directory: every checkpoint in it, oldest first
      --quick    header, index and trailer only; reads no tensor
      --stored   besides, frames and the checksums of stored bytes; decodes nothing
                 (without either, everything is decoded and checked)
      --limits   strict refuses unusually large numbers, for files from strangers
      --jobs N   threads; one per processor if not given
      --json     one JSON object a line; docs/json.md says what is in it
      --help, --version

    A line for each checkpoint: ok, or each finding with byte offset, tensor and chunk.
    Nothing is ever changed.

    exit status
      0   all intact
      1   damage found
      2   could not tell: an I/O error, no permission, or nothing to verify
      3   a format version or feature that this build cannot read
      64  usage
      If several hold: 1, else 2, else 3.
    """
}
