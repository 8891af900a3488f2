internal import CheckpointCodecs
internal import CheckpointEngine
internal import CheckpointFormat

extension FuzzTarget {
  /// A whole file: opened, verified at every level, and all of it read.
  public static let file = FuzzTarget(
    name: "fuzz-file", test: FileTarget.test, mutate: FileTarget.mutate)
}

/// Whatever a file says, reading it ends with an error or with bytes; one that verifies loads, and
/// is the only encoding of what it means.
package enum FileTarget {
  static let byteCountMax = 64 << 10
  private static let tensorCountMax = 24

  static func test(_ input: [UInt8]) throws -> UInt64 {
    let bytes = SparseBytes.expanded(input, atMost: byteCountMax)
    return try check(bytes).digest
  }

  /// Reads everything that a program could ask for, and requires that the answers agree.
  ///
  /// - Returns: Whether the file could be opened, and something to keep.
  package static func check(_ bytes: [UInt8]) throws -> (isOpen: Bool, digest: UInt64) {
    let file = FileInMemory(bytes)
    var digest = Digest()
    func strictReport() -> VerificationReport {
      Verifier(on: file.device, limits: .strict, threads: 1).verify("/" + FileInMemory.name)
    }
    let reader: CheckpointReader
    do {
      reader = try file.open()
    } catch {
      digest.add(error)
      try require(!strictReport().isIntact, "strict limits accept what the default ones refuse")
      return (false, digest.value)
    }
    // Constant planes stand for as much as they say: to fill it all is no test of the reader.
    guard try statedByteCount(reader, bytes) <= decodedByteCountMax else {
      return (true, digest.value)
    }
    let strict = strictReport()
    let reports = VerificationLevel.allCases.map { reader.verify($0) }
    for (less, more) in zip(reports, reports.dropFirst()) {
      try require(less.isIntact || !more.isIntact, "more verification finds less")
    }
    let isIntact = reports.allSatisfy(\.isIntact)
    if strict.isIntact {
      try require(isIntact, "strict limits verify what the default ones do not")
    }
    for report in reports { digest.add(report.findings.count) }
    for case let finding? in reports.map(\.findings.first) { digest.add(finding) }

    for entry in reader.index.tensors.entries.prefix(tensorCountMax) {
      digest.add(try check(entry, of: reader, isIntact: isIntact))
    }
    if isIntact { try checkEncoding(reader, bytes) }
    return (true, digest.value)
  }

  private static let decodedByteCountMax: UInt64 = 8 << 20

  /// Bytes of all tensors, of which only planes may state more than the file accounts for.
  private static func statedByteCount(
    _ reader: CheckpointReader, _ bytes: [UInt8]
  ) throws(Finding) -> UInt64 {
    let total = reader.index.tensors.entries.reduce(0) {
      $0 + ($1.aliasOf == nil ? $1.byteCount : 0)
    }
    let inPlanes = reader.index.chunks.entries.reduce(0) {
      $0 + ($1.codec == .planes ? UInt64($1.rawByteCount) : 0)
    }
    try require(
      total <= UInt64(bytes.count) * 1032 + inPlanes, "tensors of \(total) bytes in a small file")
    return total
  }

  /// Reads a tensor as a whole and by rows.
  private static func check(
    _ entry: TensorTable.Entry, of reader: CheckpointReader, isIntact: Bool
  ) throws -> UInt64 {
    let name = entry.descriptor.name
    var digest = Digest()
    try require(reader.descriptor(of: name) == entry.descriptor, "'\(name)' is another tensor")
    let whole = try? reader.read(name)
    try require(whole != nil || !isIntact, "an intact file does not load '\(name)'")
    if let whole {
      digest.add(whole)
      try require(UInt64(whole.count) == entry.byteCount, "'\(name)' has another length")
    }
    guard let count = entry.descriptor.shape.first else { return digest.value }
    let first = min(1, count)
    let middle = max(first, count / 2)
    let parts = [0..<first, first..<middle, middle..<count].map {
      try? reader.read(rows: $0, of: name)
    }
    if let whole {
      try require(
        parts.allSatisfy { $0 != nil } && parts.compactMap(\.self).joined().elementsEqual(whole),
        "rows of '\(name)' are not the tensor")
    }
    for part in parts { digest.add(part?.count ?? -1) }
    return digest.value
  }

  /// What was decoded from an intact file encodes to the same bytes, all of them.
  private static func checkEncoding(_ reader: CheckpointReader, _ bytes: [UInt8]) throws {
    let index = reader.index
    let assembly = FileAssembly(
      header: index.header, tensors: index.tensors, chunks: index.chunks,
      metadata: index.metadata)
    try require(
      index.trailer.encoded == bytes.suffix(Trailer.byteCount), "a trailer is not its own")
    guard index.trailer.sections.count == SectionKind.required.count else { return }
    let again = try assembly.bytes { entry in
      Array(bytes[Int(entry.storedOffset)..<Int(entry.storedOffset) + Int(entry.storedByteCount)])
    }
    try require(again == bytes, "an intact file is not the encoding of what it means")
  }

  // MARK: Mutation

  static func mutate(_ input: inout [UInt8], _ source: inout MutationSource) {
    if source.chance(4) { return source.mutate(&input, atMost: source.byteCountMax) }
    var bytes = SparseBytes.expanded(input, atMost: byteCountMax)
    let byteCountMin =
      CheckpointHeader.byteCount + FrontTable.headByteCount + Trailer.byteCount
    if bytes.count < byteCountMin || source.chance(1), let intact = source.savedFile() {
      bytes = intact
    }
    guard bytes.count >= byteCountMin else { return }
    var file = EditableFile(bytes)
    for _ in 0...source.below(3) {
      switch source.below(10) {
      case 0, 1, 2, 3: Mutation.mutateField(of: &file, using: &source.generator)
      case 4, 5:
        let place = source.pick(file.places)
        if !place.isEmpty { source.mutate(place, of: &file.bytes) }
      case 6:
        guard let old = file.section(3) else { break }
        var content = Array(file.bytes[old])
        source.mutate(&content, atMost: content.count + 64)
        file.replaceMetadata(with: content)
      default:
        guard let place = file.storedBytes(of: source.below(8)) else { break }
        source.mutate(place, of: &file.bytes)
      }
    }
    if source.chance(60) { file.copyTensorTableToFront() }
    if source.chance(85) { file.resealChunks() }
    if source.chance(95) { file.reseal() }
    if file.bytes.count <= byteCountMax { input = SparseBytes.compacted(file.bytes) }
  }
}
