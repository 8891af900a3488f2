internal import CheckpointEngine
internal import CheckpointFormat
internal import CheckpointTesting

/// What a script knows of its store: everything it was promised, and everything it did to it.
struct StoreLedger {
  /// A save that was begun.
  struct Attempt {
    var step: UInt64
    /// The highest acknowledged generation at the time.
    var floor: UInt64
  }

  /// By number; the number is what the state holds.
  var attempts: [Attempt] = []
  /// The attempt that each generation holds which must be there and intact.
  var acknowledged: [UInt64: Int] = [:]
  /// The highest generation that was ever acknowledged.
  var highest: UInt64 = 0
  /// Names of checkpoints that somebody damaged.
  var damaged: Set<String> = []
  /// Names that nobody but their owner may touch: foreign files, pins, quarantined checkpoints.
  var untouchable: Set<String> = []
  var pins: Set<Identifier> = []

  // What the process knows that has the store open.

  /// Names of checkpoints whose own sync of the directory failed in this process.
  var uncertain: Set<String> = []
  /// Whether the last save that may be in place was not acknowledged.
  var isInDoubt = false
  var resumedGeneration: UInt64?
  var acknowledgedCount = 0

  /// A process starts.
  mutating func beginProcess() {
    uncertain = []
    isInDoubt = false
    resumedGeneration = nil
    acknowledgedCount = 0
  }

  /// A run goes on from a checkpoint, or begins.
  mutating func beginRun(from generation: UInt64?) {
    resumedGeneration = generation
    acknowledgedCount = 0
  }

  mutating func acknowledge(_ attempt: Int, _ generation: UInt64) {
    acknowledged[generation] = attempt
    highest = max(highest, generation)
    acknowledgedCount += 1
    isInDoubt = false
  }

  mutating func damage(_ name: String) {
    damaged.insert(name)
    if let generation = CheckpointName(name)?.generation { acknowledged[generation] = nil }
  }

  func name(ofAcknowledged generation: UInt64) -> String? {
    acknowledged[generation].map {
      CheckpointName.checkpoint(step: attempts[$0].step, generation: generation).text
    }
  }

  /// The bytes of an attempt; some chunks are encoded, some are not.
  static func payload(_ attempt: Int) -> [UInt8] {
    (0..<96).map {
      $0 < 64
        ? UInt8(truncatingIfNeeded: attempt) : UInt8(truncatingIfNeeded: $0 * $0 * 37 + attempt)
    }
  }

  // MARK: Checks

  /// Requires that a checkpoint holds what some attempt wanted to save.
  func check(_ reader: CheckpointReader) throws {
    let header = reader.header
    let bytes = try reader.read("w")
    let attempt = Int(bytes[0])
    try require(
      attempts.indices.contains(attempt) && bytes == Self.payload(attempt),
      "\(reader.path) holds bytes that nobody saved")
    try require(
      attempts[attempt].step == header.step && attempts[attempt].floor < header.generation,
      "\(reader.path) holds another save than its header says")
    if let expected = acknowledged[header.generation] {
      try require(expected == attempt, "\(reader.path) is not the save that was acknowledged")
    }
  }

  /// Requires of a disk that lost power that nothing acknowledged is lost, nothing is torn under a
  /// checkpoint's name, and nothing that is not ours was touched.
  func check(_ disk: SimulatedDisk, at path: String) throws {
    let names = disk.names(inDirectoryAt: path) ?? []
    for name in names where name.hasSuffix(".ckpt") && !damaged.contains(name) {
      let reader = try CheckpointReader.open(path: path + "/" + name, on: disk.device, threads: 1)
      let findings = reader.verify(.full).findings
      try require(findings.isEmpty, "a torn file has a checkpoint's name: \(findings)")
      try check(reader)
      let header = reader.header
      let expected = CheckpointName.checkpoint(step: header.step, generation: header.generation)
      try require(name == expected.text, "'\(name)' has another header")
    }
    let present = Set(names)
    for generation in acknowledged.keys {
      guard let name = name(ofAcknowledged: generation) else { continue }
      try require(present.contains(name), "acknowledged generation \(generation) is gone")
    }
    try require(untouchable.isSubset(of: present), "something was removed that is not the store's")
  }
}

/// What recovery must answer.
enum ExpectedRecovery: Equatable {
  case nothing
  case noneIntact
  case ambiguous(newest: UInt64)
  case generation(UInt64)
}

extension StoreLedger {
  /// What recovery must say of what is on the disk now.
  func expectedRecovery(_ disk: SimulatedDisk, at path: String) -> ExpectedRecovery {
    let names = (disk.names(inDirectoryAt: path) ?? []).filter {
      switch CheckpointName($0) {
      case .checkpoint, .damaged: true
      default: false
      }
    }
    if names.isEmpty { return .nothing }
    let candidates = names.filter { $0.hasSuffix(".ckpt") }
    let intact = candidates.filter { !damaged.contains($0) }
    func generation(_ name: String) -> UInt64 { CheckpointName(name)?.generation ?? 0 }
    guard let newest = intact.max(by: { generation($0) < generation($1) }) else {
      return .noneIntact
    }
    // Only a damaged file can be newer than what was chosen; its run may be another.
    guard candidates.contains(where: { generation($0) > generation(newest) }) else {
      return .generation(generation(newest))
    }
    func header(_ name: String) -> CheckpointHeader? {
      disk.contents(ofFileAt: path + "/" + name).flatMap {
        try? CheckpointHeader(decoding: $0.rawSpan, limits: .default)
      }
    }
    guard let chosen = header(newest) else { return .generation(generation(newest)) }
    let hasRival = candidates.contains {
      guard let other = header($0) else { return false }
      return other.runIdentifier != chosen.runIdentifier
        && other.generation > chosen.supersededGeneration
    }
    return hasRival ? .ambiguous(newest: generation(newest)) : .generation(generation(newest))
  }
}
