internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

extension CheckpointStore {
  /// Renames a damaged checkpoint to `….ckpt.damaged`, so that nothing looks at it any more.
  ///
  /// It stays where it is, byte for byte, for whoever wants to rescue what is left; its generation is
  /// never used again. To take it back, rename it by hand. The renaming is durable when this returns.
  /// Whether the file is damaged is for the caller to know.
  ///
  /// - Parameter entry: One of ``entries()``.
  /// - Returns: The new path.
  /// - Throws: ``CheckpointError``: `.busy` if a reader holds the file, `.notRegular` for what is no
  ///   file, `.alreadyExists`, `.notFound` if the name stands for something else by now, `.io`.
  public func setAside(_ entry: StoreEntry) throws(CheckpointError) -> String {
    try requireWritable()
    guard entry.role == .candidate else { return entry.path }
    let target = entry.name + ".damaged"
    let file = try OpenFile.open(entry.name, in: directory)
    let location = CheckpointError.Location(path: entry.path)
    let (backend, descriptor) = (directory.backend, directory.descriptor)
    let isLocked = try asking(entry) { () throws(StorageError) in
      try backend.lock(file.descriptor, .exclusive)
    }
    guard isLocked else {
      throw CheckpointError(
        .busy, "\(escaped(entry.path)) is held by a reader and was not set aside.", at: location)
    }
    let named = try asking(entry) { () throws(StorageError) in
      try backend.status(entry.name, in: descriptor)
    }
    guard named.isSameFile(as: file.status) else {
      throw CheckpointError(
        .notFound, "\(escaped(entry.path)) is another file by now, and was not set aside.",
        at: location)
    }
    try asking(entry) { [directory] () throws(StorageError) in
      try directory.renameExclusively(entry.name, to: target)
    }
    #if Mutants
      if Mutant.isActive(.asideNotSynced) { return directory.path(of: target) }
    #endif
    try directory.sync()
    return directory.path(of: target)
  }

  private func asking<Result>(
    _ entry: StoreEntry, _ body: () throws(StorageError) -> Result
  ) throws(CheckpointError) -> Result {
    do {
      return try body()
    } catch {
      throw CheckpointError(writing: entry.path, error)
    }
  }
}
