internal import CheckpointFormat
internal import CheckpointStorage

/// Writes whole checkpoint files, one at a time, with memory that is kept between them.
struct CheckpointFileWriter {
  let directory: StoreDirectory
  let pool: WorkerPool
  let resources: SaveResources

  /// Writes and seals a file; removes it if anything fails.
  ///
  /// - Parameters:
  ///   - temporary: A file that nothing was written to yet.
  ///   - blueprint: What it will hold.
  ///   - encodes: Whether chunks are encoded where that pays.
  ///   - write: Provides the bytes of the tensors, in order and all of them. What it throws is thrown
  ///     unchanged.
  /// - Returns: How long the file is, and what it took.
  /// - Throws: ``CheckpointError``, or what `write` throws.
  func fill(
    _ temporary: TemporaryFile, _ blueprint: FileBlueprint, encodes: Bool,
    write: (TensorSink) throws -> Void
  ) throws -> SavePace.Sample {
    let output = temporary.output
    let describe = { [directory] (error: StorageError) -> CheckpointError in
      Self.writeError(error, temporary.path, blueprint, output, directory)
    }
    let start = resources.now()
    do {
      temporary.begin(byteCountMax: blueprint.byteCountMax)
      try output.append(blueprint.head.rawSpan)
      let pipeline = ChunkPipeline(
        blueprint.tensors, header: blueprint.header, encodes: encodes, output: output, pool: pool,
        resources: resources)
      // Before the memory of the output is anybody else's.
      defer { pipeline.end() }
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
      let sealing = resources.now()
      try temporary.seal(byteCount: output.byteCount)
      let end = resources.now()
      return SavePace.Sample(
        stateByteCount: blueprint.stateByteCount, isEncoded: encodes, nanoseconds: end - start,
        fileByteCount: output.byteCount,
        writingNanoseconds: output.writingNanoseconds + end - sealing)
    } catch {
      // Described first: removing the file changes how much is free.
      let described = (error as? StorageError).map(describe) ?? error
      temporary.abandon()
      throw described
    }
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
