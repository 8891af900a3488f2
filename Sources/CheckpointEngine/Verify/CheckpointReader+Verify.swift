internal import CheckpointFormat
internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

extension CheckpointReader {
  /// Examines the checkpoint; at level `.full` every byte of the file.
  ///
  /// - Parameters:
  ///   - level: How much to examine.
  ///   - progress: Is told now and then how many bytes of how many are done, on the calling thread.
  /// - Returns: Every finding, in file order.
  /// - Complexity: Reads the file once; a few chunks of memory per thread.
  public func verify(
    _ level: VerificationLevel = .full, progress: ((_ done: UInt64, _ of: UInt64) -> Void)? = nil
  ) -> VerificationReport {
    verify(level, comparing: nil, progress: progress)
  }

  /// Examines the checkpoint, and compares its chunks with those that they were copied from.
  package func verify(
    _ level: VerificationLevel, comparing comparison: ChunkComparison?,
    progress: ((_ done: UInt64, _ of: UInt64) -> Void)?
  ) -> VerificationReport {
    var report = VerificationReport(path: path, level: level, byteCount: byteCount)
    report.header = header
    report.tensorCount = index.tensors.entries.count
    report.chunkCount = index.chunks.entries.count
    collect(into: &report) { () throws(CheckpointError) in try verifyFrontTable() }
    if level != .quick { verifyChunks(level, comparison, into: &report, progress: progress) }
    verifySections(into: &report)
    return report
  }

  private func collect(
    into report: inout VerificationReport, _ check: () throws(CheckpointError) -> Void
  ) {
    do {
      try check()
    } catch {
      report.add(error)
    }
  }

  /// The front table is the index's tensor table, byte for byte, behind a head that opening checked.
  private func verifyFrontTable() throws(CheckpointError) {
    #if Mutants
      if Mutant.isActive(.frontTableUnchecked) { return }
    #endif
    let bytes = try file.read(
      Int(index.chunkRegion.lowerBound - Layout.frontTableOffset), at: Layout.frontTableOffset)
    // The whole block follows from the tensors and the save identifier.
    let expected = FrontTable.encoded(index.tensors.encoded, in: header)
    if let difference = bytes.rawSpan.firstDifference(from: expected.bytes.rawSpan) {
      throw CheckpointError(
        in: path,
        FormatError(
          .inconsistent("the front table differs from the index"),
          at: Layout.frontTableOffset + UInt64(difference)))
    }
  }

  /// Sections the reader does not know are checksummed all the same, and padding must be zero.
  private func verifySections(into report: inout VerificationReport) {
    let trailer = index.trailer
    var end = index.chunkRegion.upperBound
    for section in trailer.sections {
      collect(into: &report) { () throws(CheckpointError) in
        try verifyZeros(end..<section.offset)
        if !SectionKind.required.contains(section.kind) {
          let bytes = try file.read(Int(section.byteCount), at: section.offset)
          try FileIndex.checkChecksum(section, bytes, header.formatVersion, file)
        }
      }
      end = section.endOffset
    }
    collect(into: &report) { () throws(CheckpointError) in
      try verifyZeros(end..<byteCount - UInt64(Trailer.byteCount))
    }
  }

  private func verifyZeros(_ range: Range<UInt64>) throws(CheckpointError) {
    #if Mutants
      if Mutant.isActive(.paddingUnchecked) { return }
    #endif
    let bytes = try file.read(range.count, at: range.lowerBound)
    if let difference = bytes.rawSpan.firstNonZeroIndex {
      throw CheckpointError(
        in: path, FormatError(.reservedNotZero, at: range.lowerBound + UInt64(difference)))
    }
  }

  // MARK: Chunks

  /// Consecutive chunks of about this many bytes are read and examined together.
  private static let groupByteCount: UInt64 = 1 << 20

  private func verifyChunks(
    _ level: VerificationLevel, _ comparison: ChunkComparison?,
    into report: inout VerificationReport, progress: ((UInt64, UInt64) -> Void)?
  ) {
    let groups = chunkGroups()
    // Rounds of groups keep the findings in order and give progress a place on this thread.
    let roundCount = max(16, pool.threadCount * 8)
    let advice = ReadOnAdvice(file)
    var next = 0
    while next < groups.count {
      let round = groups[next..<min(next + roundCount, groups.count)]
      let findings = pool.map(round.count) {
        let group = round[round.startIndex + $0]
        advice.note(index.chunks.entries[group.lowerBound].frameOffset)
        return verifyGroup(group, level, comparison)
      }
      for finding in findings.joined() { report.add(finding) }
      report.checkedChunkCount += round.reduce(0) { $0 + $1.count }
      next += round.count
      let last = index.chunks.entries[round[round.endIndex - 1].upperBound - 1]
      progress?(last.endOffset, byteCount)
    }
  }

  private func chunkGroups() -> [Range<Int>] {
    let entries = index.chunks.entries
    var groups: [Range<Int>] = []
    var first = 0
    for number in entries.indices
    where entries[number].endOffset - entries[first].frameOffset >= Self.groupByteCount
      || number == entries.count - 1
    {
      groups.append(first..<number + 1)
      first = number + 1
      if first == entries.count { break }
    }
    return groups
  }

  /// Examines some consecutive chunks with one read; if that fails, chunk by chunk.
  private func verifyGroup(
    _ group: Range<Int>, _ level: VerificationLevel, _ comparison: ChunkComparison?
  ) -> [CheckpointError] {
    let entries = index.chunks.entries
    let start = entries[group.lowerBound].frameOffset
    let byteCount = Int(entries[group.upperBound - 1].endOffset - start)
    do throws(CheckpointError) {
      return try workspaces.withTool { (workspace) throws(CheckpointError) in
        let memory = unsafe workspace.storedBytes(byteCount)
        unsafe try file.read(into: memory, at: start)
        // SAFETY: the memory is this thread's until the end of this call.
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory))
        var findings: [CheckpointError] = []
        for number in group {
          let entry = entries[number]
          let place = Int(entry.frameOffset - start)..<Int(entry.endOffset - start)
          findings += verify(
            entry, bytes.extracting(place), level, comparison, workspace)
        }
        return findings
      }
    } catch {
      if group.count > 1 { return group.flatMap { verifyGroup($0..<$0 + 1, level, comparison) } }
      return [naming(entries[group.lowerBound], in: error)]
    }
  }

  private func naming(_ entry: ChunkEntry, in error: CheckpointError) -> CheckpointError {
    var finding = error
    finding.location?.tensor = index.tensors.entries[Int(entry.tensor)].name
    finding.location?.chunk = Int(entry.chunk)
    return finding
  }

  /// Examines one chunk: `bytes` are its frame, its stored bytes and the padding behind them.
  private func verify(
    _ entry: ChunkEntry, _ bytes: RawSpan, _ level: VerificationLevel,
    _ comparison: ChunkComparison?, _ workspace: ChunkWorkspace
  ) -> [CheckpointError] {
    let frame = bytes.extracting(first: ChunkFrame.byteCount)
    let storedEnd = ChunkFrame.byteCount + Int(entry.storedByteCount)
    let stored = bytes.extracting(ChunkFrame.byteCount..<storedEnd)
    let padding = bytes.extracting(droppingFirst: storedEnd)

    var findings: [CheckpointError] = []
    if let difference = firstDifference(frame, fromFrameOf: entry) {
      findings.append(
        loader.damage(
          entry, .inconsistent("a chunk's frame differs from the index"),
          at: entry.frameOffset + UInt64(difference)))
    }
    do throws(CheckpointError) {
      // The bytes of a chunk that is stored as it is have one checksum and nothing to decode.
      if level == .full, entry.codec != .stored {
        // SAFETY: the memory is this thread's until the end of this call.
        let raw = unsafe workspace.rawBytes(Int(entry.rawByteCount))
        unsafe try loader.decode(entry, stored, into: raw, by: workspace)
        // SAFETY: as above.
        try compare(entry, unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(raw)), comparison)
      } else {
        try loader.check(entry, stored, .storedChunk)
        if entry.codec == .stored { try compare(entry, stored, comparison) }
      }
    } catch {
      findings.append(error)
    }
    if let difference = padding.firstNonZeroIndex {
      findings.append(
        loader.damage(
          entry, .reservedNotZero,
          at: entry.frameOffset + UInt64(storedEnd) + UInt64(difference)))
    }
    return findings
  }

  private func compare(
    _ entry: ChunkEntry, _ raw: RawSpan, _ comparison: ChunkComparison?
  ) throws(CheckpointError) {
    guard let comparison, !comparison.holds(entry, raw) else { return }
    throw loader.damage(entry, .inconsistent("a chunk differs from the one it was copied from"))
  }

  /// Where a frame begins to differ from the one that follows from the index.
  private func firstDifference(_ frame: RawSpan, fromFrameOf entry: ChunkEntry) -> Int? {
    #if Mutants
      if Mutant.isActive(.frameUnchecked) { return nil }
    #endif
    let expected = entry.frame(in: header)
    var bytes = InlineArray<64, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    // SAFETY: the buffer is the array's own, of the size of a frame.
    unsafe span.withUnsafeMutableBytes { unsafe expected.encode(into: $0) }
    return frame.firstDifference(from: unsafe bytes.span.bytes)
  }
}
