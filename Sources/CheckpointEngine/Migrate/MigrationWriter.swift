internal import CheckpointFormat
internal import CheckpointStorage

/// Writes migrated checkpoints, and compares each with what it was made of before it has a name.
struct MigrationWriter {
  let directory: StoreDirectory
  let options: StoreOptions
  let pool: WorkerPool
  let resources: SaveResources

  /// A migrated file that is whole, durable and right, and has no name yet.
  struct Made {
    let file: TemporaryFile
    /// Holds the file until it has its name.
    let reader: CheckpointReader
    let byteCount: UInt64
    let casts: [CastReport]
  }

  /// As much is read at once, by all threads: some chunks for each.
  private static let windowByteCount: UInt64 = 8 << 20

  init(_ directory: StoreDirectory, _ options: StoreOptions, _ pool: WorkerPool) {
    self.directory = directory
    self.options = options
    self.pool = pool
    resources = SaveResources(
      options.output, beside: pool, now: options.device.timeSource.monotonic)
  }

  /// Makes a file; nothing of it is left if this throws.
  ///
  /// `progress` is told now and then how many bytes of how many are done.
  func make(
    _ migration: CheckpointMigration, progress: ((UInt64, UInt64) -> Void)?
  ) throws -> Made {
    let (header, state) = (migration.header, migration.state)
    let temporary = try TemporaryFile(
      step: header.step, generation: header.generation, permissions: .private, in: directory,
      resources: resources)
    // Who may read the source may read the result.
    try temporary.setPermissions(migration.reader.file.status.permissions)
    let blueprint = try FileBlueprint(state.plan, header: header, limits: options.limits)
    let total = 2 * state.plan.byteCount
    var done: UInt64 = 0
    let log = CastLog()
    let writer = CheckpointFileWriter(directory: directory, pool: pool, resources: resources)
    let sample = try writer.fill(
      temporary, blueprint, encodes: options.compression.method != .none
    ) { sink in
      for part in state.parts {
        for window in Self.windows(of: part.source) {
          let bytes = try part.source.bytes(in: window, noting: log)
          try sink.append(bytes.rawSpan)
          done += UInt64(window.count)
          progress?(done, total)
        }
      }
    }
    let reader: CheckpointReader
    do {
      reader = try CheckpointReader(temporary.reopened(), limits: options.limits, pool: pool)
      try check(reader, migration) { done, of in
        let share = Double(done) / Double(max(of, 1))
        progress?(total / 2 + UInt64(Double(total / 2) * share), total)
      }
    } catch {
      temporary.abandon()
      throw error
    }
    return Made(file: temporary, reader: reader, byteCount: sample.fileByteCount, casts: log.all)
  }

  /// The ranges in which a tensor is read; what a function makes is made once.
  private static func windows(of source: TensorSource) -> [Range<UInt64>] {
    let step = source.isMade ? max(source.byteCount, 1) : windowByteCount
    return stride(from: 0, to: source.byteCount, by: UInt64.Stride(step)).map {
      $0..<min($0 + step, source.byteCount)
    }
  }

  // MARK: Checking

  /// Verifies every byte of the new file, and compares it with what it was made of.
  ///
  /// Chunks that were only copied are compared with the checksums that stand in the source, which are as
  /// old as the checkpoint. What steps have made is made once more.
  private func check(
    _ reader: CheckpointReader, _ migration: CheckpointMigration,
    progress: @escaping (UInt64, UInt64) -> Void
  ) throws {
    let (state, source) = (migration.state, migration.reader)
    guard reader.header == migration.header, reader.metadata == state.plan.metadata,
      StateTensors(reader).equal(state.plan)
    else { throw difference(reader, "its index") }
    var copied = [Int?](repeating: nil, count: reader.index.tensors.entries.count)
    for part in state.parts { copied[part.number] = part.savedNumber }
    let comparison = ChunkComparison(source: source, numbers: copied)
    let report = reader.verify(.full, comparing: comparison, progress: progress)
    if let finding = report.findings.first {
      var error = finding
      error.message = "The migrated file is not right and was removed: \(finding.message)"
      throw error
    }
    for part in state.parts where part.savedNumber == nil {
      let entry = reader.index.tensors.entries[part.number]
      for window in Self.windows(of: part.source) {
        let expected = try part.source.bytes(in: window)
        guard try reader.read(entry, window) == expected else {
          throw difference(reader, "'\(escaped(part.source.descriptor.name))'")
        }
      }
    }
  }

  private func difference(_ reader: CheckpointReader, _ what: String) -> CheckpointError {
    CheckpointError(
      .corrupted,
      "The migrated file differs from what it was made of in \(what) and was removed; the original "
        + "is as it was. Check the memory of this machine and try again.",
      at: CheckpointError.Location(path: reader.path))
  }
}
