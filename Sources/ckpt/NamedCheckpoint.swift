internal import CheckpointEngine
internal import CommandLineTool

/// A checkpoint that was named on the command line: a file, or a store, which stands for its newest.
struct NamedCheckpoint {
  let reader: CheckpointReader
  /// What its store says of it; nil if its name is not that of a store's checkpoint.
  let entry: StoreEntry?

  /// Opens what a path stands for.
  ///
  /// - Parameters:
  ///   - path: A file or a directory.
  ///   - command: For the notes about checkpoints of a store that are passed over.
  /// - Throws: ``CheckpointError``: `.notFound` also if a directory has no checkpoint that can be opened;
  ///   what else opening throws, of a store's newest too unless that is damaged.
  init(_ path: String, for command: String) throws(CheckpointError) {
    do throws(CheckpointError) {
      reader = try CheckpointReader.open(path: path)
    } catch {
      guard error.code == .notRegular, let store = try? CheckpointStore(path, for: .reading) else {
        throw error
      }
      self = try Self(newestOf: store, for: command)
      return
    }
    let (directory, name) = StoreDirectory.split(path)
    let store = try? CheckpointStore(directory, for: .reading)
    entry = (try? store?.entries())?.first { $0.name == name }
  }

  private init(reader: CheckpointReader, entry: StoreEntry) {
    self.reader = reader
    self.entry = entry
  }

  private init(newestOf store: CheckpointStore, for command: String) throws(CheckpointError) {
    for entry in try store.entries() where entry.role == .candidate {
      do throws(CheckpointError) {
        if let problem = entry.problem { throw problem }
        self.init(reader: try store.open(entry), entry: entry)
        return
      } catch {
        // Whatever cannot be told to be damaged may be the newest.
        guard [.corrupted, .notRegular, .notFound].contains(error.code) else { throw error }
        StandardStreams.writeError("ckpt \(command): passed over: \(error)")
      }
    }
    throw CheckpointError(
      .notFound, "The directory \(escaped(store.path)) has no checkpoint that can be opened.",
      at: CheckpointError.Location(path: store.path))
  }
}
