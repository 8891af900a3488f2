public import CheckpointFormat

/// What was done to a checkpoint after it was saved.
public struct MigrationRecord: Hashable, Sendable {
  /// The file that it was made from.
  public let saveIdentifier: Identifier
  /// That file's format version, as a number: a later build may have written it.
  public let formatVersion: UInt64
  /// What wrote that file.
  public let writer: String
  /// The plan's fingerprint.
  package let plan: Identifier
  /// The plan, a line for the format version and each step; of a very long one the beginning.
  public let steps: String
  /// Whether what was before could be had back.
  public let isLossless: Bool

  /// A record of what a plan does to a checkpoint.
  init(of plan: MigrationPlan, from header: CheckpointHeader, isLossless: Bool) {
    saveIdentifier = header.saveIdentifier
    formatVersion = UInt64(header.formatVersion.rawValue)
    writer = header.writer
    self.plan = plan.fingerprint
    steps = Self.shortened(plan.description)
    self.isLossless = isLossless
  }
}

extension MigrationRecord {
  /// A plan may have a step for each of 100,000 tensors, and each file keeps the plans of all its migrations.
  private static let stepByteCountMax = 64 << 10

  private static func shortened(_ text: String) -> String {
    guard text.utf8.count > stepByteCountMax else { return text }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    var (kept, byteCount) = (0, 0)
    while byteCount + lines[kept].utf8.count < stepByteCountMax {
      byteCount += lines[kept].utf8.count + 1
      kept += 1
    }
    let count = lines.count - kept
    return (lines[..<kept] + ["and \(count) more step\(count == 1 ? "" : "s")"]).joined(
      separator: "\n")
  }
}

// The records stand in the environment, numbered from 1 so that they stay in order.

extension Metadata {
  /// What was done to the checkpoint after it was saved, oldest first.
  public var migrations: [MigrationRecord] {
    var records: [MigrationRecord] = []
    while let record = MigrationRecord(recordedIn: self, number: records.count + 1) {
      records.append(record)
    }
    return records
  }

  /// Adds a record.
  mutating func record(_ migration: MigrationRecord) {
    let prefix = MigrationRecord.prefix(migrations.count + 1)
    self[.environment, prefix + "from_save"] = .string("\(migration.saveIdentifier)")
    self[.environment, prefix + "from_format"] = .uint64(migration.formatVersion)
    self[.environment, prefix + "from_writer"] = .string(migration.writer)
    self[.environment, prefix + "plan"] = .string("\(migration.plan)")
    self[.environment, prefix + "steps"] = .string(migration.steps)
    self[.environment, prefix + "lossless"] = .bool(migration.isLossless)
  }
}

extension MigrationRecord {
  fileprivate static func prefix(_ number: Int) -> String { "migration/\(number)/" }

  fileprivate init?(recordedIn metadata: Metadata, number: Int) {
    let prefix = Self.prefix(number)
    guard case .string(let save)? = metadata[.environment, prefix + "from_save"],
      case .uint64(let version)? = metadata[.environment, prefix + "from_format"],
      case .string(let writer)? = metadata[.environment, prefix + "from_writer"],
      case .string(let fingerprint)? = metadata[.environment, prefix + "plan"],
      case .string(let steps)? = metadata[.environment, prefix + "steps"],
      case .bool(let isLossless)? = metadata[.environment, prefix + "lossless"],
      let saveIdentifier = Identifier(save), let plan = Identifier(fingerprint)
    else { return nil }
    self.saveIdentifier = saveIdentifier
    formatVersion = version
    self.writer = writer
    self.plan = plan
    self.steps = steps
    self.isLossless = isLossless
  }
}
