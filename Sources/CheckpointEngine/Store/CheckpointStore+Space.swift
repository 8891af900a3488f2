internal import CheckpointFormat
internal import CheckpointStorage

extension CheckpointStore {
  /// How many bytes this process may still write where the store is, by the file system and its quotas.
  ///
  /// - Returns: The number; other processes may use it up at any time.
  /// - Throws: ``CheckpointError``: `.unreadable` if the system does not tell.
  public func availableByteCount() throws(CheckpointError) -> UInt64 {
    do {
      return try directory.backend.space(directory.descriptor).availableByteCount
    } catch {
      throw CheckpointError(reading: path, error)
    }
  }

  /// The most bytes that the file of a save can have: as many as if nothing could be compressed.
  ///
  /// - Parameter plan: What would be saved.
  /// - Returns: The number.
  /// - Throws: ``CheckpointError``: `.overLimit` if the save would be refused.
  package func byteCountMax(of plan: SavePlan) throws(CheckpointError) -> UInt64 {
    try FileBlueprint.byteCountMax(
      plan, chunkByteCount: options.chunkByteCount, limits: options.limits)
  }

  /// Bytes of the checkpoints that retention may remove in time: all that nothing pins or sets apart.
  ///
  /// - Throws: ``CheckpointError``: `.unreadable`.
  package func replaceableByteCount() throws(CheckpointError) -> UInt64 {
    let listing = try list()
    return listing.candidates.lazy.filter { entry in
      entry.problem == nil
        && entry.header.map { !listing.pins.contains($0.checkpointIdentifier) } == true
    }.map(\.byteCount).saturatingSum
  }
}
