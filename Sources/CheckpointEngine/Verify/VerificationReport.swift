public import CheckpointFormat

/// How much of a checkpoint is examined.
public enum VerificationLevel: String, Hashable, Sendable, CaseIterable {
  /// Header, front table, sections and trailer: no chunk is read.
  case quick
  /// Besides, every frame and the checksum of every stored chunk.
  case stored
  /// Besides, every chunk is decoded and its raw checksum compared.
  case full
}

/// What verification found; a damaged file is a result, not an error.
public struct VerificationReport: Sendable {
  /// The file's path.
  public let path: String
  /// What was examined.
  public let level: VerificationLevel
  /// The findings, in file order; empty if the checkpoint is intact as far as examined.
  ///
  /// Of more than 1,000 the rest is only counted, apart from the first of each code.
  public private(set) var findings: [CheckpointError]
  /// Findings that were counted and not kept.
  public private(set) var omittedFindingCount = 0
  /// Chunks whose bytes were examined.
  public var checkedChunkCount: Int
  /// Bytes of the file.
  public var byteCount: UInt64
  /// Which checkpoint it is, if its header could be read.
  public var header: CheckpointHeader?
  /// Tensors of the file, aliases included; nil if its index could not be read.
  public var tensorCount: Int?
  /// Chunks of the file; nil if its index could not be read.
  public var chunkCount: Int?

  package init(
    path: String, level: VerificationLevel, byteCount: UInt64, findings: [CheckpointError] = []
  ) {
    self.path = path
    self.level = level
    self.findings = findings
    checkedChunkCount = 0
    self.byteCount = byteCount
  }

  private static let findingCountMax = 1_000

  mutating func add(_ finding: CheckpointError) {
    let isKept =
      findings.count < Self.findingCountMax || !findings.contains { $0.code == finding.code }
    if isKept { findings.append(finding) } else { omittedFindingCount += 1 }
  }

  /// Puts a finding about the whole file in front of those about its parts.
  mutating func addFirst(_ finding: CheckpointError) { findings.insert(finding, at: 0) }

  /// Whether nothing was found.
  public var isIntact: Bool { findings.isEmpty }
  /// Whether a finding says that bytes are wrong.
  public var isDamaged: Bool {
    findings.contains { $0.code == .corrupted || $0.code == .notRegular }
  }
  /// Whether a part could not be read, so that it cannot be told whether it is intact.
  public var isUnreadable: Bool {
    findings.contains { $0.code == .unreadable || $0.code == .notFound }
  }
}
