internal import CheckpointEngine
internal import CommandLineTool

/// The commands `ckpt pin` and `ckpt unpin`.
enum PinCommand {
  static let pin = Subcommand(
    "pin",
    help: """
      Keeps checkpoints from being removed by retention.

      usage: ckpt pin FILE...

      Retention does not remove these, in this run or a later one. May be done while
      training goes on; durable when it returns.

        --help           Print this.

      exit status:
         0  done
         2  a file is not there, has no header, or could not be pinned
        64  the command line has no meaning

      example:
        ckpt pin runs/demo/step-000001000.g000002.ckpt
      """
  ) { try forEach($0.positionals) { try $0.pin($1) } }

  static let unpin = Subcommand(
    "unpin",
    help: """
      Lets retention remove pinned checkpoints again.

      usage: ckpt unpin FILE...

      A checkpoint that is not pinned stays so. May be done while training goes on.

        --help           Print this.

      exit status:
         0  done
         2  a file is not there, has no header, or could not be unpinned
        64  the command line has no meaning

      example:
        ckpt unpin runs/demo/step-000001000.g000002.ckpt
      """
  ) { try forEach($0.positionals) { try $0.unpin($1) } }

  private static func forEach(
    _ paths: [String], _ body: (CheckpointStore, StoreEntry) throws -> Void
  ) throws -> ExitStatus {
    guard !paths.isEmpty else { throw UsageError("Name at least one checkpoint.") }
    for path in paths {
      let (directory, name) = StoreDirectory.split(path)
      let store = try CheckpointStore(directory, for: .reading)
      guard let entry = try store.entries().first(where: { $0.name == name }) else {
        throw CheckpointError(
          .notFound, "\(escaped(path)) is no checkpoint of a store.",
          at: CheckpointError.Location(path: path))
      }
      try body(store, entry)
    }
    return .success
  }
}
