/// Who wrote a checkpoint, when, and where it stands in its run.
///
/// - SeeAlso: docs/format.md, section 5.
public struct CheckpointHeader: Hashable, Sendable {
  package static let byteCount = 4096
  package static let checksumOffset = 4092
  package static let branchPointOffset = 512
  package static let writerOffset = 152
  /// UTF-8 bytes of ``writer``.
  package static let writerByteCountMax = 256
  /// Branch points a file can hold; the oldest are dropped.
  public static let branchPointCountMax = 64

  /// The format version of the file.
  public var formatVersion: FormatVersion
  package var readFeatures: FeatureSet = []
  package var preserveFeatures: FeatureSet = []
  /// The store's count of saves; the newest intact checkpoint has the highest.
  public var generation: UInt64
  /// Names this file; chunks are bound to it.
  public var saveIdentifier: Identifier
  /// Names the logical checkpoint; survives migration.
  public var checkpointIdentifier: Identifier
  /// Names the run, across any number of resumes.
  public var runIdentifier: Identifier
  /// The checkpoint this run was resumed from or wrote last; nil for a run's first.
  public var parentIdentifier: Identifier?
  /// The training step after which the state was taken.
  public var step: UInt64
  /// When the save began, in nanoseconds since 1970-01-01 00:00 UTC.
  public var savedAt: Int64
  /// Checkpoints of other runs up to this generation were in the store, knowingly left behind.
  public var supersededGeneration: UInt64
  /// Bytes of a full chunk before encoding.
  public var chunkByteCount: Int
  /// The program that wrote the file.
  public var writer: String
  /// Where runs of this lineage were resumed, oldest first.
  public var branchPoints: [BranchPoint]

  /// A checkpoint that a run was resumed from.
  public struct BranchPoint: Hashable, Sendable {
    /// The generation of that checkpoint.
    public var generation: UInt64
    /// The training step of that checkpoint.
    public var step: UInt64
    /// The checkpoint identifier of that checkpoint.
    public var identifier: Identifier

    /// Makes a branch point.
    public init(generation: UInt64, step: UInt64, identifier: Identifier) {
      self.generation = generation
      self.step = step
      self.identifier = identifier
    }
  }

  package init(
    generation: UInt64, saveIdentifier: Identifier, checkpointIdentifier: Identifier,
    runIdentifier: Identifier, parentIdentifier: Identifier?, step: UInt64, savedAt: Int64,
    supersededGeneration: UInt64, chunkByteCount: Int, writer: String, branchPoints: [BranchPoint],
    formatVersion: FormatVersion = .current
  ) {
    self.formatVersion = formatVersion
    self.generation = generation
    self.saveIdentifier = saveIdentifier
    self.checkpointIdentifier = checkpointIdentifier
    self.runIdentifier = runIdentifier
    self.parentIdentifier = parentIdentifier
    self.step = step
    self.savedAt = savedAt
    self.supersededGeneration = supersededGeneration
    self.chunkByteCount = chunkByteCount
    self.writer = Self.clipped(writer)
    self.branchPoints = branchPoints.suffix(Self.branchPointCountMax)
  }
}

extension CheckpointHeader {
  /// As much of a writer's name as fits, cut between characters.
  private static func clipped(_ writer: String) -> String {
    var end = writer.startIndex
    var byteCount = 0
    for scalar in writer.unicodeScalars {
      byteCount += scalar.utf8.count
      guard byteCount <= writerByteCountMax else { break }
      end = writer.unicodeScalars.index(after: end)
    }
    return String(writer[..<end])
  }

  /// The checksum that the header has, which the trailer repeats.
  package var checksum: UInt32 {
    formatVersion.checksum(encoded.rawSpan.extracting(0..<Self.checksumOffset))
  }

  /// Encodes the first 4,096 bytes of a file.
  package var encoded: [UInt8] {
    precondition(writer.utf8.count <= Self.writerByteCountMax, "the writer's name is too long")
    precondition(branchPoints.count <= Self.branchPointCountMax, "too many branch points")
    var bytes = ByteWriter(reservingCapacity: Self.byteCount)
    let start = FileStart(
      formatVersion: formatVersion.rawValue, readFeatures: readFeatures,
      preserveFeatures: preserveFeatures, generation: generation, saveIdentifier: saveIdentifier)
    bytes.append(contentsOf: start.encoded)
    bytes.append(checkpointIdentifier)
    bytes.append(runIdentifier)
    bytes.append(parentIdentifier ?? .zero)
    bytes.append(step)
    bytes.append(UInt64(bitPattern: savedAt))
    bytes.append(supersededGeneration)
    bytes.append(UInt32(chunkByteCount))
    bytes.append(UInt32(branchPoints.count))
    bytes.append(UInt32(writer.utf8.count))
    bytes.pad(to: Self.writerOffset)
    bytes.append(contentsOf: writer.utf8)
    bytes.pad(to: Self.branchPointOffset)
    for point in branchPoints {
      bytes.append(point.generation)
      bytes.append(point.step)
      bytes.append(point.identifier)
    }
    bytes.pad(to: Self.checksumOffset)
    bytes.append(formatVersion.checksum(bytes.bytes.rawSpan))
    return bytes.bytes
  }

  /// Reads the first 4,096 bytes of a file of a version that this build knows.
  package init(decoding bytes: RawSpan, limits: Limits) throws(FormatError) {
    let start = try FileStart(decoding: bytes)
    let version = try start.supportedVersion()
    guard bytes.byteCount >= Self.byteCount else {
      throw FormatError(.truncated(needed: UInt64(Self.byteCount - FileStart.byteCount)), at: 64)
    }
    try Self.checkChecksum(bytes, version)
    formatVersion = version
    readFeatures = start.readFeatures
    preserveFeatures = start.preserveFeatures
    generation = start.generation
    saveIdentifier = start.saveIdentifier

    var reader = ByteReader(
      bytes.extracting(FileStart.byteCount..<Self.checksumOffset), at: UInt64(FileStart.byteCount))
    checkpointIdentifier = try reader.readIdentifier()
    runIdentifier = try reader.readIdentifier()
    let parent = try reader.readIdentifier()
    parentIdentifier = parent == .zero ? nil : parent
    step = try reader.readCounter()
    savedAt = Int64(bitPattern: try reader.read(UInt64.self))
    supersededGeneration = try reader.readCounter()
    chunkByteCount = try Self.decodeChunkByteCount(&reader, limits: limits)
    let branchPointCount = Int(try reader.read(UInt32.self))
    let writerByteCount = Int(try reader.read(UInt32.self))
    try reader.skipZeros(4)
    guard writerByteCount <= Self.writerByteCountMax else {
      throw FormatError(.inconsistent("length of the writer's name"), at: reader.fileOffset)
    }
    writer = try reader.readString(writerByteCount)
    try reader.skipZeros(Self.branchPointOffset - Self.writerOffset - writerByteCount)
    guard branchPointCount <= Self.branchPointCountMax else {
      throw FormatError(.inconsistent("number of branch points"), at: reader.fileOffset)
    }
    branchPoints = []
    for _ in 0..<branchPointCount {
      branchPoints.append(
        BranchPoint(
          generation: try reader.readCounter(), step: try reader.readCounter(),
          identifier: try reader.readIdentifier()))
    }
    try reader.skipZeros(reader.remainingByteCount)
  }

  private static func checkChecksum(
    _ bytes: RawSpan, _ version: FormatVersion
  ) throws(FormatError) {
    let offset = UInt64(checksumOffset)
    var reader = ByteReader(bytes.extracting(checksumOffset..<byteCount), at: offset)
    let stored = try reader.read(UInt32.self)
    let computed = version.checksum(bytes.extracting(0..<checksumOffset))
    guard stored == computed else {
      throw FormatError(.checksumMismatch(.header, stored: stored, computed: computed), at: offset)
    }
  }

  private static func decodeChunkByteCount(
    _ reader: inout ByteReader, limits: Limits
  ) throws(FormatError) -> Int {
    let offset = reader.fileOffset
    let value = Int(try reader.read(UInt32.self))
    try limits.check(value, \.chunkByteCountMax, "chunk size in bytes", at: offset)
    guard ChunkGrid.isValidChunkByteCount(value) else {
      throw FormatError(.inconsistent("chunk size that is no multiple of 64"), at: offset)
    }
    return value
  }
}
