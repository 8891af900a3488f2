package import CheckpointFormat
package import CheckpointStorage

/// Writes one checkpoint file at a path of its own, outside any store's count, as durably as a save.
///
/// For tools that make a file of another one. Which checkpoint it is, the header says.
///
/// - SeeAlso: docs/crash-safety.md, section 3.
package struct CheckpointFileWriter {
  private let directory: StoreDirectory
  private let name: String
  private let permissions: FilePermissions
  private let pool: WorkerPool

  /// Looks whether a file may be made.
  ///
  /// - Parameters:
  ///   - path: Where nothing stands yet, in a directory that exists.
  ///   - device: Where that is.
  ///   - permissions: Who may read the file.
  ///   - pool: The threads that encode.
  /// - Throws: ``CheckpointError``: `.alreadyExists`, `.notFound`, `.io`.
  package init(
    _ path: String, on device: StorageDevice, permissions: FilePermissions = .private,
    pool: WorkerPool
  ) throws(CheckpointError) {
    let (parent, name) = StoreDirectory.split(path)
    directory = try StoreDirectory.open(parent, on: device)
    self.name = name
    self.permissions = permissions
    self.pool = pool
    guard !["", ".", "..", "/"].contains(name), !isTaken else {
      throw CheckpointError(
        .alreadyExists,
        "\(escaped(path)) is there already, and is not overwritten. Name a new file.",
        at: CheckpointError.Location(path: path))
    }
  }

  /// Whether something stands under the name; in doubt not, since publishing never replaces anything.
  private var isTaken: Bool {
    (try? directory.backend.status(name, in: directory.descriptor)) != nil
  }

  /// Writes the file and waits until it would survive a power cut.
  ///
  /// - Parameters:
  ///   - plan: What it holds.
  ///   - header: Which checkpoint it is; its save identifier must be new.
  ///   - encodes: Whether chunks are encoded where that saves something.
  ///   - write: Provides the bytes of the planned tensors, in order and all of them.
  /// - Returns: Bytes of the file.
  /// - Throws: ``CheckpointError``, or what `write` throws. Nothing is left then, except after
  ///   `.durabilityUnknown`: the file is in place, and may not survive a power cut.
  package func write(
    _ plan: SavePlan, _ header: CheckpointHeader, encodes: Bool = true,
    write: (TensorSink) throws -> Void
  ) throws -> UInt64 {
    let blueprint = try FileBlueprint(plan, header: header, limits: .default)
    let resources = SaveResources(
      OutputOptions(), beside: pool, now: directory.device.timeSource.monotonic)
    let temporary = try TemporaryFile(
      step: header.step, generation: header.generation, permissions: permissions, in: directory,
      resources: resources)
    let output = temporary.output
    let describe = { CheckpointError(writing: temporary.path, $0 as StorageError) }
    do {
      temporary.begin(byteCountMax: blueprint.byteCountMax)
      try output.append(blueprint.head.rawSpan)
      let pipeline = ChunkPipeline(
        blueprint.tensors, header: header, encodes: encodes, output: output, pool: pool,
        resources: resources)
      try write(TensorSink(pipeline, describe: describe))
      try output.requireSound()
      guard pipeline.isComplete else {
        throw CheckpointError(
          .invalidState, "Fewer bytes came than were planned; nothing was written.")
      }
      try pipeline.finish()
      try output.appendIndex(of: blueprint, chunks: pipeline.chunks)
      try temporary.seal(byteCount: output.byteCount)
    } catch {
      let described = (error as? StorageError).map(describe) ?? error
      temporary.abandon()
      throw described
    }
    try temporary.publish(as: name, saveIdentifier: header.saveIdentifier)
    try syncPublished()
    return output.byteCount
  }

  private func syncPublished() throws(CheckpointError) {
    do {
      try directory.sync()
    } catch {
      throw CheckpointError(
        .durabilityUnknown,
        "\(escaped(directory.path(of: name))) is complete and in place, but its name may not survive a "
          + "power cut: \(error.message)",
        at: error.location, systemCall: error.systemCall, errno: error.errno)
    }
  }
}
