internal import CheckpointFormat
internal import CheckpointStorage

/// All that is known of a damaged file before its chunks are looked at.
struct SalvageSource {
  let identity: SaveIdentity
  let header: CheckpointHeader?
  /// What the first 64 bytes say, also where the rest of the header is lost.
  let start: FileStart?
  let trailer: TrailerPart?
  /// What the tensors are; nil if both tables are lost.
  let tensors: TensorTable?
  /// The bytes of the chunk table's section.
  let chunkTable: [UInt8]?
  let metadata: Metadata?
  let damagedParts: [SalvageReport.Part]

  /// Chooses which save the file is of, and collects what there is of it; nil if there is nothing.
  ///
  /// - Parameters:
  ///   - parts: What was found.
  ///   - tallies: The frames that were found, where they were searched for.
  ///   - file: The file.
  init?(_ parts: SalvageParts, _ tallies: [SaveIdentity: PartSearch.Tally], in file: DamagedFile) {
    guard let identity = Self.identity(parts, tallies, file) else { return nil }
    self.identity = identity
    let isOurs = parts.startIdentity == identity
    header = isOurs ? parts.header : nil
    start = isOurs ? parts.start : nil
    let front = parts.fronts.first { $0.identity == identity }
    let trailer = parts.trailers.first { $0.identity == identity }
    self.trailer = trailer
    var found: [SectionKind: [UInt8]] = [:]
    for kind in SectionKind.required { found[kind] = trailer?.section(kind, in: file) }
    chunkTable = found[.chunkTable]
    metadata = found[.metadata].flatMap {
      try? Metadata(decoding: $0.rawSpan, at: 0, limits: .default)
    }
    let hints = [
      tallies[identity]?.chunkByteCount, tallies[identity]?.rawByteCountMax,
      found[.chunkTable].map(Self.rawByteCountMax),
    ].compactMap { $0 }
    let known = header?.chunkByteCount
    let tables = [front?.table, found[.tensorTable]].compactMap { $0 }
    tensors = tables.lazy.compactMap { Self.decoded($0, known, hints) }.first

    var damaged: [SalvageReport.Part] = []
    if header == nil { damaged.append(.header) }
    if front == nil { damaged.append(.frontTable) }
    if found[.tensorTable] == nil { damaged.append(.tensorTable) }
    if found[.nameOrder] == nil { damaged.append(.nameOrder) }
    if chunkTable == nil { damaged.append(.chunkTable) }
    if metadata == nil { damaged.append(.metadata) }
    if trailer == nil { damaged.append(.trailer) }
    damagedParts = damaged
  }

  private static func decoded(_ table: [UInt8], _ known: Int?, _ hints: [Int]) -> TensorTable? {
    let size = known ?? ChunkSizeEstimate.chunkByteCount(of: table, hints: hints)
    return size.flatMap {
      try? TensorTable(
        decoding: table, at: 0, grid: ChunkGrid(chunkByteCount: $0), limits: .default)
    }
  }

  /// The save that most speaks for: its chunks, its table, the start of the file.
  private static func identity(
    _ parts: SalvageParts, _ tallies: [SaveIdentity: PartSearch.Tally], _ file: DamagedFile
  ) -> SaveIdentity? {
    var candidates = [parts.startIdentity].compactMap { $0 }
    candidates += parts.fronts.map(\.identity) + parts.trailers.map(\.identity)
    candidates += tallies.sorted { $0.value.frameCount > $1.value.frameCount }.map(\.key)
    var best: (identity: SaveIdentity, weight: Int, frameCount: Int)?
    var seen: Set<SaveIdentity> = []
    for identity in candidates where seen.insert(identity).inserted {
      let hasTable =
        parts.fronts.contains { $0.identity == identity }
        || parts.trailers.contains {
          $0.identity == identity && $0.section(.tensorTable, in: file) != nil
        }
      let frameCount = tallies[identity]?.frameCount ?? 0
      let weight =
        (frameCount > 0 ? 4 : 0) + (hasTable ? 2 : 0) + (parts.startIdentity == identity ? 1 : 0)
      if let best, (best.weight, best.frameCount) >= (weight, frameCount) { continue }
      best = (identity, weight, frameCount)
    }
    return best?.identity
  }

  private static func rawByteCountMax(_ table: [UInt8]) -> Int {
    stride(from: 0, to: table.count - ChunkTable.entryByteCount + 1, by: ChunkTable.entryByteCount)
      .reduce(0) { max($0, Int(table.rawSpan.halfWord(at: $1 + 16))) }
  }
}

extension SalvageSource {
  /// The rows of the chunk table, whatever the tensors are.
  var rows: [ChunkEntry] {
    guard let chunkTable, trailer?.isInPlace == true else { return [] }
    let bytes = chunkTable.rawSpan
    return (0..<chunkTable.count / ChunkTable.entryByteCount).map { number in
      let offset = number * ChunkTable.entryByteCount
      return ChunkEntry(
        frameOffset: bytes.word(at: offset), tensor: bytes.halfWord(at: offset + 8),
        chunk: bytes.halfWord(at: offset + 12), rawByteCount: bytes.halfWord(at: offset + 16),
        storedByteCount: bytes.halfWord(at: offset + 20),
        storedChecksum: bytes.halfWord(at: offset + 24),
        rawChecksum: bytes.halfWord(at: offset + 28),
        codec: CodecIdentifier(rawValue: bytes.halfWord(at: offset + 32)))
    }
  }

  /// What the file holds and this build does not know, in words.
  var unknownParts: [String] {
    let bits = start?.preserveFeatures.subtracting(.known) ?? []
    let kinds = trailer?.trailer.sections.map(\.kind).filter { !SectionKind.required.contains($0) }
    var parts = bits.isEmpty ? [] : ["the features " + bits.names.joined(separator: ", ")]
    if let kinds, !kinds.isEmpty {
      let numbers = Set(kinds.map(\.rawValue)).sorted().map { "\($0)" }
      parts.append("the sections of kind " + numbers.joined(separator: ", "))
    }
    return parts
  }
}
