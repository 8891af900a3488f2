internal import CheckpointFormat
internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

extension CheckpointStore {
  /// Saves a checkpoint and waits until it would survive a power cut.
  ///
  /// When this returns, the checkpoint is durable and is the newest. When it throws, every earlier
  /// checkpoint is as it was and no new one is visible, except after `.durabilityUnknown`: then
  /// the new one is in place, intact, and may or may not survive a power cut; or, if the disk would
  /// not even tell, may or may not be in place.
  ///
  /// - Parameters:
  ///   - plan: What will be saved.
  ///   - step: The training step the state was taken after.
  ///   - role: What for: what is no candidate is never recovered, counted or removed, and later saves
  ///     do not descend from it.
  ///   - write: Provides the bytes of the planned tensors, in order and all of them. What it throws
  ///     aborts the save and is thrown unchanged.
  /// - Returns: What was saved, and where.
  /// - Throws: ``CheckpointError``: `.overLimit`, `.outOfSpace`, `.io`, `.alreadyExists`,
  ///   `.durabilityUnknown`, `.invalidState` if bytes are missing; or what `write` throws.
  /// - Complexity: O(bytes) time, a few chunks of extra memory per thread, two fsyncs.
  /// - SeeAlso: docs/crash-safety.md, section 3.
  package func save(
    _ plan: SavePlan, step: UInt64, as role: StoreEntry.Role = .candidate,
    write: (TensorSink) throws -> Void
  ) throws -> SaveReceipt {
    #if Mutants
      let role = Mutant.isActive(.emergencyCounts) ? .candidate : role
    #endif
    try requireWritable()
    precondition(step <= Limits.counterMax, "steps are counted up to 2^63 - 1")
    let start = options.device.timeSource.monotonic()
    if run == nil { beginFreshRun() }
    let header = try nextHeader(step: step)
    var plan = plan
    run?.abandonedGenerations.record(in: &plan.metadata)
    let blueprint = try FileBlueprint(plan, header: header, limits: options.limits)
    let name = CheckpointName(step: step, generation: header.generation, role).text
    // Spent from here on, whatever happens: no two files of this process share a generation.
    lastGeneration = header.generation
    #if Mutants
      defer {
        if Mutant.isActive(.generationUnspentAfterFailure), verdicts[FileKey(name, header)] == nil {
          lastGeneration -= 1
        }
      }
    #endif

    let temporary = try TemporaryFile(
      step: step, generation: header.generation, permissions: options.permissions, in: directory,
      resources: resources)
    let byteCount = try fill(temporary, blueprint, write: write)
    try publish(temporary, as: name, header)
    #if Mutants
      if Mutant.isActive(.retentionBeforeAcknowledgement) {
        acknowledge(header, name, plan.metadata)
        _ = retain(last: 1)
      }
    #endif
    try syncPublished(name, generation: header.generation)
    if role == .candidate { acknowledge(header, name, plan.metadata) }
    return SaveReceipt(
      path: directory.path(of: name), step: step, generation: header.generation,
      checkpointIdentifier: header.checkpointIdentifier, saveIdentifier: header.saveIdentifier,
      byteCount: byteCount, stateByteCount: blueprint.stateByteCount,
      unhealthyReason: plan.metadata.unhealthyReason,
      seconds: Double(options.device.timeSource.monotonic() - start) / 1e9)
  }

  /// Writes and seals the file, and returns its length; removes it if anything fails.
  private func fill(
    _ temporary: TemporaryFile, _ blueprint: FileBlueprint, write: (TensorSink) throws -> Void
  ) throws -> UInt64 {
    let output = temporary.output
    let describe = { [directory] (error: StorageError) -> CheckpointError in
      Self.writeError(error, temporary.path, blueprint, output, directory)
    }
    do {
      temporary.begin(byteCountMax: blueprint.byteCountMax)
      try output.append(blueprint.head.rawSpan)
      let pipeline = ChunkPipeline(
        blueprint.tensors, header: blueprint.header, encodes: encodes, output: output, pool: pool,
        resources: resources)
      try write(TensorSink(pipeline, describe: describe))
      // If `write` swallowed an error of the disk, that is what failed, and not the state.
      try output.requireSound()
      guard pipeline.isComplete else {
        throw CheckpointError(
          .invalidState, "The state provided fewer bytes than it had planned; nothing was saved.")
      }
      try pipeline.finish()
      try output.appendIndex(of: blueprint, chunks: pipeline.chunks)
      try output.requireSound()
      // First, since the time of the writes that it waits for is counted by itself.
      try output.finish()
      let start = resources.now()
      try temporary.seal(byteCount: output.byteCount)
      if blueprint.stateByteCount >= options.output.pacedStateByteCount {
        resources.pace.note(
          SavePace.Sample(
            stateByteCount: blueprint.stateByteCount,
            encodingNanoseconds: pipeline.encodingNanoseconds, fileByteCount: output.byteCount,
            writingNanoseconds: output.writingNanoseconds + resources.now() - start))
      }
      return output.byteCount
    } catch {
      // Described first: removing the file changes how much is free.
      let described = (error as? StorageError).map(describe) ?? error
      temporary.abandon()
      throw described
    }
  }

  /// Whether the next save encodes its chunks.
  private var encodes: Bool {
    switch options.compression.method {
    case .none: false
    case .always: true
    case .automatic:
      // Version 1 is for those who read it; it has no fast coder to choose.
      options.formatVersion == .v1
        || resources.pace.encodingPays(threadCount: max(1, pool.threadCount))
    }
  }

  private func nextHeader(step: UInt64) throws(CheckpointError) -> CheckpointHeader {
    guard let run else { preconditionFailure("a save begins a run first") }
    guard lastGeneration < Limits.counterMax else {
      throw CheckpointError(.overLimit, "The store has used up its generations.")
    }
    return CheckpointHeader(
      generation: lastGeneration + 1, saveIdentifier: makeIdentifier(),
      checkpointIdentifier: makeIdentifier(), runIdentifier: run.runIdentifier,
      parentIdentifier: run.parentIdentifier, step: step,
      savedAt: options.device.timeSource.now(), supersededGeneration: run.supersededGeneration,
      chunkByteCount: options.chunkByteCount, writer: options.writer,
      branchPoints: run.branchPoints, formatVersion: options.formatVersion)
  }

  private func publish(
    _ temporary: TemporaryFile, as name: String, _ header: CheckpointHeader
  ) throws(CheckpointError) {
    do {
      try temporary.publish(as: name, saveIdentifier: header.saveIdentifier)
    } catch {
      if error.code == .durabilityUnknown { distrust(header.generation) }
      throw error
    }
  }

  /// Has retention wait, and never count the file, in this process.
  private func distrust(_ generation: UInt64) {
    uncertainGenerations.insert(generation)
    isDurabilityInDoubt = true
  }

  /// Makes the new name durable.
  ///
  /// If that fails, the file stays: it may well survive.
  private func syncPublished(_ name: String, generation: UInt64) throws(CheckpointError) {
    do {
      try directory.sync()
    } catch {
      distrust(generation)
      // The error was reported once on this descriptor; a new one has seen nothing yet.
      if let reopened = directory.reopened() { directory = reopened }
      throw CheckpointError(
        .durabilityUnknown,
        "\(escaped(directory.path(of: name))) is complete and in place, but its name may not "
          + "survive a power cut: \(error.systemCall ?? "fsync") of the directory failed with "
          + "\(errnoName(error.errno ?? 0)). Save again to be sure.",
        at: error.location, systemCall: error.systemCall, errno: error.errno)
    }
  }

  private func acknowledge(
    _ header: CheckpointHeader, _ name: String, _ metadata: Metadata
  ) {
    isDurabilityInDoubt = false
    verdicts[FileKey(name, header)] = Verdict(intact: metadata)
    run?.parentIdentifier = header.checkpointIdentifier
    run?.acknowledgedCount += 1
  }

  /// Adds to a failed write what was needed, what was written and what was free.
  private static func writeError(
    _ error: StorageError, _ path: String, _ blueprint: FileBlueprint, _ output: SequentialOutput,
    _ directory: StoreDirectory
  ) -> CheckpointError {
    var result = CheckpointError(writing: path, error)
    guard result.code == .outOfSpace else { return result }
    let free = (try? directory.backend.space(directory.descriptor)).map {
      ", \($0.availableByteCount) bytes were free"
    }
    result.message +=
      " The save needed at most \(blueprint.byteCountMax) bytes, "
      + "\(output.writtenByteCount) were written\(free ?? "")."
    return result
  }
}

extension SequentialOutput {
  /// Appends the sections, the padding and the trailer.
  func appendIndex(of blueprint: FileBlueprint, chunks: ChunkTable) throws(StorageError) {
    let contents: [(SectionKind, [UInt8])] = [
      (.tensorTable, blueprint.tensorTable), (.nameOrder, blueprint.nameOrder),
      (.chunkTable, chunks.encoded), (.metadata, blueprint.metadata),
    ]
    var sections: [Section] = []
    for (kind, bytes) in contents {
      try pad(to: Layout.aligned(byteCount))
      sections.append(
        Section(
          kind: kind, offset: byteCount, byteCount: UInt64(bytes.count),
          checksum: blueprint.header.formatVersion.checksum(bytes.rawSpan)))
      try append(bytes.rawSpan)
    }
    let fileByteCount = Layout.fileByteCount(sectionsEnd: byteCount)
    try pad(to: fileByteCount - UInt64(Trailer.byteCount))
    let trailer = Trailer(
      of: blueprint.header, sections: sections, fileByteCount: fileByteCount,
      headerChecksum: blueprint.headerChecksum,
      frontTableChecksum: blueprint.frontTableChecksum)
    try append(trailer.encoded.rawSpan)
  }
}
