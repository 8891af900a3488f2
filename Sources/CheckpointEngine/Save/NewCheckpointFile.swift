package import CheckpointFormat
package import CheckpointStorage

/// A place where one checkpoint file is made, outside any store's count and as durably as a save.
///
/// For tools that make a file of another one. Which checkpoint it is, the header says.
///
/// - SeeAlso: docs/crash-safety.md, section 3.
package struct NewCheckpointFile {
  let directory: StoreDirectory
  let name: String

  /// Looks whether a file may be made.
  ///
  /// - Parameters:
  ///   - path: Where nothing stands yet, in a directory that exists.
  ///   - device: Where that is.
  /// - Throws: ``CheckpointError``: `.alreadyExists`, `.notFound`, `.io`.
  package init(_ path: String, on device: StorageDevice) throws(CheckpointError) {
    let (parent, name) = StoreDirectory.split(path)
    directory = try StoreDirectory.open(parent, on: device)
    self.name = name
    guard !["", ".", "..", "/"].contains(name), !isTaken else {
      throw CheckpointError(
        .alreadyExists,
        "\(escaped(path)) is there already, and nothing is overwritten. Name a new file.",
        at: CheckpointError.Location(path: path))
    }
  }

  /// Removes what programs have left here that were killed while they made a file.
  func sweep() { directory.removeAbandoned() }

  /// Whether something stands under the name; in doubt not, since publishing never replaces anything.
  private var isTaken: Bool {
    (try? directory.backend.status(name, in: directory.descriptor)) != nil
  }

  /// Writes the file and waits until it would survive a power cut.
  ///
  /// - Parameters:
  ///   - plan: What it holds.
  ///   - header: Which checkpoint it is; its save identifier must be new.
  ///   - pool: The threads that encode.
  ///   - write: Provides the bytes of the planned tensors, in order and all of them.
  /// - Returns: Bytes of the file.
  /// - Throws: ``CheckpointError``, or what `write` throws. Nothing is left then, except after
  ///   `.durabilityUnknown`: the file is in place, and may not survive a power cut.
  package func write(
    _ plan: SavePlan, _ header: CheckpointHeader, by pool: WorkerPool,
    write: (TensorSink) throws -> Void
  ) throws -> UInt64 {
    sweep()
    let blueprint = try FileBlueprint(plan, header: header, limits: .default)
    let resources = SaveResources(
      OutputOptions(), beside: pool, now: directory.device.timeSource.monotonic)
    let temporary = try TemporaryFile(
      step: header.step, generation: header.generation, permissions: .private, in: directory,
      resources: resources)
    let writer = CheckpointFileWriter(directory: directory, pool: pool, resources: resources)
    let sample = try writer.fill(temporary, blueprint, encodes: true, write: write)
    try publish(temporary, saveIdentifier: header.saveIdentifier)
    return sample.fileByteCount
  }

  /// Gives a sealed file the name, durably.
  func publish(_ file: TemporaryFile, saveIdentifier: Identifier) throws(CheckpointError) {
    try file.publish(as: name, saveIdentifier: saveIdentifier)
    try directory.syncPublished(name)
  }
}
