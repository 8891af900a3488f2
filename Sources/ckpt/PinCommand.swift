internal import CheckpointEngine
internal import CommandLineTool

/// Sets or removes the pins of checkpoints that are named by their paths.
struct PinCommand {
  private let paths: [String]
  private let setsPin: Bool

  init(_ paths: [String], setsPin: Bool) throws {
    guard !paths.isEmpty else { throw UsageError("Name at least one checkpoint.") }
    self.paths = paths
    self.setsPin = setsPin
  }

  func run() throws {
    for path in paths {
      let (directory, name) = StoreDirectory.split(path)
      let store = try CheckpointStore(directory, for: .reading)
      guard let entry = try store.entries().first(where: { $0.name == name }) else {
        throw CheckpointError(
          .notFound, "\(escaped(path)) is no checkpoint of a store.",
          at: CheckpointError.Location(path: path))
      }
      if setsPin { try store.pin(entry) } else { try store.unpin(entry) }
    }
  }
}
