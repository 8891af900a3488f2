import CheckpointEngine
import CheckpointFormat
import CheckpointTesting

// What must hold of a disk after whatever happened to it, as docs/crash-safety.md promises.

/// Examines disks; what was found of a file's bytes is remembered, since states share most files.
struct Invariants {
  let harness: Harness
  private var intact: [Int: Identified] = [:]

  private struct Identified {
    var generation: UInt64
    var content: Set<Ledger.Content>
  }

  init(_ harness: Harness) { self.harness = harness }

  /// Requires that nothing acknowledged is lost or wrong, that no broken file has a checkpoint's
  /// name, and that work can go on.
  ///
  /// Changes the disk.
  mutating func require(_ disk: SimulatedDisk, _ ledger: Ledger) throws {
    try requireFiles(disk, ledger)
    let recovered = try recover(disk, ledger)
    try requireWorkGoesOn(disk, ledger, from: recovered)
  }

  /// Every file under a checkpoint's name is intact and holds what was saved; none is missing.
  private mutating func requireFiles(_ disk: SimulatedDisk, _ ledger: Ledger) throws {
    let names = disk.checkpointNames
    for name in names + disk.emergencyNames where !ledger.spoiled.contains(name.generation) {
      let path = Harness.storePath + "/" + name
      guard let bytes = disk.contents(ofFileAt: path) else { continue }
      let digest = digest(bytes)
      let expected = ledger.mayHold(name.generation)
      if let known = intact[digest], known.generation == name.generation,
        known.content.isSubset(of: expected)
      {
        continue
      }
      let report = Verifier(on: disk.device, threads: 1).verify(path)
      try FaultSuites.require(
        report.isIntact,
        "a broken file has a checkpoint's name: \(report.findings.first.map(\.message) ?? "")")
      try CheckpointReader.open(path: path, on: disk.device, threads: 1).requireHolds(expected)
      intact[digest] = Identified(generation: name.generation, content: expected)
    }
    for generation in ledger.owed where !names.contains(where: { $0.generation == generation }) {
      throw Violation("generation \(generation) was acknowledged and is gone")
    }
    for generation in ledger.damaged where !names.contains(where: { $0.generation == generation }) {
      throw Violation("a damaged file, of generation \(generation), was removed")
    }
    for generation in ledger.moving.union(ledger.emergencies)
    where !disk.storeNames.contains(where: { $0.generation == generation }) {
      throw Violation("generation \(generation), which is no candidate, was removed")
    }
  }

  private func digest(_ bytes: [UInt8]) -> Int {
    var hasher = Hasher()
    // SAFETY: reads the bytes of the array while it is lent; Array's own hashing is far slower.
    unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }

  /// The generation that is recovered, if it is a right one.
  private func recover(_ disk: SimulatedDisk, _ ledger: Ledger) throws -> UInt64? {
    guard disk.names(inDirectoryAt: Harness.storePath) != nil else {
      try FaultSuites.require(ledger.newest == nil, "the store's directory is gone")
      return nil
    }
    let store = try harness.open(disk, for: .reading)
    guard let recovery = try store.recover() else {
      try FaultSuites.require(ledger.newest == nil, "every checkpoint is gone")
      return nil
    }
    let generation = recovery.reader.header.generation
    try FaultSuites.require(
      generation >= ledger.newest ?? 0,
      "generation \(generation) was recovered, and \(ledger.newest ?? 0) was acknowledged")
    for skipped in recovery.skipped {
      let isDamaged = ledger.mayBePassedOver(skipped.path.generation)
      try FaultSuites.require(isDamaged, "an intact file was passed over: \(skipped.reason)")
    }
    return generation
  }

  /// A process that resumes can save, what it saves is the newest, and no rubbish stays.
  private func requireWorkGoesOn(
    _ disk: SimulatedDisk, _ ledger: Ledger, from generation: UInt64?
  ) throws {
    let content = Ledger.Content(step: 99)
    let saved: UInt64
    do {
      let store = try harness.open(disk)
      try FaultSuites.require(
        try resume(store) == generation, "recovering twice gives two answers")
      saved = try store.save(content).generation
      if let count = ledger.keptCount {
        let report = store.retain(last: count)
        try FaultSuites.require(report.warnings.isEmpty, "\(report.warnings)")
      }
      let floor = max(generation ?? 0, ledger.newest ?? 0, ledger.spoiled.max() ?? 0)
      try FaultSuites.require(saved > floor, "generation \(saved) was given out after \(floor)")
      guard let recovery = try store.recover(), recovery.reader.header.generation == saved else {
        throw Violation("what was saved last is not the newest")
      }
      try recovery.reader.requireHolds([content])
    }
    let rubbish = disk.storeNames.filter { $0.hasSuffix(".tmp") }
    try FaultSuites.require(rubbish.isEmpty, "temporary files stay: \(rubbish)")
    try FaultSuites.require(disk.openDescriptorCount == 0, "descriptors are left open")
  }

  /// Resumes, and lets go of the file, which retention would spare otherwise.
  private func resume(_ store: CheckpointStore) throws -> UInt64? {
    guard let recovery = try store.recover() else { return nil }
    store.continueRun(from: recovery.reader, choice: .automatic)
    return recovery.reader.header.generation
  }
}
