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
    let writer = CheckpointFileWriter(directory: directory, pool: pool, resources: resources)
    let sample = try writer.fill(temporary, blueprint, encodes: encodes, write: write)
    if blueprint.stateByteCount >= options.output.pacedStateByteCount {
      resources.pace.note(sample)
    }
    return sample.fileByteCount
  }

  /// Whether the next save encodes its chunks.
  private var encodes: Bool {
    switch options.compression.method {
    case .none: false
    case .always: true
    case .automatic:
      // Version 1 is for those who read it; it has no fast coder to choose.
      options.formatVersion == .v1 || resources.pace.encodes
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
      try directory.syncPublished(name)
    } catch {
      distrust(generation)
      // The error was reported once on this descriptor; a new one has seen nothing yet.
      if let reopened = directory.reopened() { directory = reopened }
      throw error
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
}
