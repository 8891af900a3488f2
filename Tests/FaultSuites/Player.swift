import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Plays a scenario's actions on a disk, and keeps the ledger.
///
/// A ``CheckpointError`` ends the play, as it would end a program that does not catch it; a
/// ``Violation`` is a promise broken before anything crashed.
final class Player {
  let disk: SimulatedDisk
  let harness: Harness
  var ledger: Ledger
  private var store: CheckpointStore?
  /// The highest generation that this process has seen or spent.
  private var spent: UInt64 = 0
  /// The generations that were there when this process opened the store; its own first sync of the
  /// directory makes their names durable.
  private var found: [UInt64] = []
  /// Whether a failed sync may have forgotten names that no later one makes durable.
  var mayForgetNames = false
  /// Whether flock(2) works; if not, a janitor may remove what it should not, and a save fails.
  var areLocksSound = true
  /// Whether somebody removed the file that this process has locked.
  private var isLockGone = false
  /// Names of checkpoints that a failed save, which was not doubtful, must not have left.
  private(set) var failedNames: Set<String> = []

  init(_ disk: SimulatedDisk, _ harness: Harness, _ ledger: Ledger = Ledger()) {
    self.disk = disk
    self.harness = harness
    self.ledger = ledger
  }

  /// Plays `actions`, after which the process ends unless it is told to stay.
  func play(_ actions: [Action], isOver: Bool = true) throws {
    for action in actions { try play(action) }
    if isOver { end() }
  }

  /// The process ends: its descriptors are closed, its locks are gone.
  func end() {
    store = nil
    isLockGone = false
  }

  /// Whether something was disturbed, so that actions may fail.
  var toleratesErrors = true
  /// What was found while errors were passed over.
  private(set) var violation: Violation?

  /// Plays an action again if it fails, and goes on in any case.
  func playTrying(_ action: Action, times count: Int) {
    for _ in 0..<count {
      do {
        return try play(action)
      } catch let error as CheckpointError {
        // A save that failed may be tried again; what is not there will not be there then either.
        if error.code == .notFound { return }
        if !toleratesErrors { violation = Violation("nothing is wrong, and it fails: \(error)") }
      } catch {
        violation = error as? Violation ?? Violation("an unexpected error: \(error)")
        return
      }
    }
  }

  private func play(_ action: Action) throws {
    switch action {
    case .save(let step): try save(step)
    case .retain(let count): try retain(last: count)
    case .finishRetention(let count):
      ledger.retain(last: count)
      let report = try opened().finishRetention(.last(count))
      // What stays was synced before the first file went.
      if !report.removed.isEmpty { adoptFound() }
    case .restart:
      end()
      _ = try opened()
    case .goBack(let step): try goBack(to: step)
    case .read: try read()
    case .verify: try verify()
    case .saveWhileAnotherOpens(let step): try save(step) { try self.requireBusy() }
    case .saveWhileAJanitorRuns(let step): try saveWhileAJanitorRuns(step)
    case .saveWhileAnotherSaves(let step): try saveWhileAnotherSaves(step)
    case .saveWhileAReaderResumes(let step): try save(step) { try self.resumeReading() }
    case .retainWhileHeld(let count): try retainWhileHeld(last: count)
    case .setAside: try setAside()
    case .saveEmergency(let step): try saveEmergency(step)
    case .refuseUncached(let whenTried):
      disk.uncachedTransfers = whenTried ? .refusedWhenTried : .refused
    case .pin, .damage, .quarantine: try tamper(action)
    }
  }

  // MARK: Opening

  /// The store, opened and resumed from the newest checkpoint unless it is open already.
  private func opened() throws -> CheckpointStore {
    if let store { return store }
    // Before it is opened: the temporaries of the dead are removed then, and count all the same.
    spent = disk.highestGeneration
    let store = try harness.open(disk)
    if let recovery = try store.recover() {
      try check(recovery)
      store.continueRun(from: recovery.reader, choice: .automatic)
    } else {
      try require(ledger.newest == nil, "a run began afresh where checkpoints are")
    }
    self.store = store
    found = disk.checkpointNames.map(\.generation)
    return store
  }

  /// Whether what was recovered is what it should be.
  private func check(_ recovery: Recovery) throws {
    let generation = recovery.reader.header.generation
    try require(
      generation >= ledger.newest ?? 0, "recovery took generation \(generation), which is too old")
    for skipped in recovery.skipped {
      let isDamaged = ledger.mayBePassedOver(skipped.path.generation)
      try require(isDamaged, "an intact checkpoint was passed over: \(skipped.reason)")
    }
    try recovery.reader.requireHolds(ledger.mayHold(generation))
  }

  private func goBack(to step: UInt64) throws {
    end()
    // Before it is opened: the temporaries of the dead are removed then, and count all the same.
    spent = disk.highestGeneration
    let store = try harness.open(disk)
    let recovery: Recovery?
    do {
      recovery = try store.recover(.step(step))
    } catch {
      // A step of which nothing but damage is left is rightly refused, and nothing takes its place.
      let isSpoiled = disk.checkpointNames.allSatisfy {
        CheckpointName($0) != .checkpoint(step: step, generation: $0.generation)
          || ledger.mayBePassedOver($0.generation)
      }
      guard error.code == .noIntactCheckpoint, isSpoiled else { throw error }
      return
    }
    guard let recovery else { return }
    try require(recovery.reader.header.step == step, "another step was taken than \(step)")
    try recovery.reader.requireHolds(ledger.mayHold(recovery.reader.header.generation))
    store.continueRun(from: recovery.reader, choice: .deliberate)
    self.store = store
    found = disk.checkpointNames.map(\.generation)
  }

  private func adoptFound() {
    if !mayForgetNames { ledger.adopt(found) }
  }

  // MARK: Saving

  private func save(_ step: UInt64, during interlude: () throws -> Void = {}) throws {
    let store = try opened()
    spent += 1
    let content = Ledger.Content(step: step)
    ledger.attempt(spent, content)
    do {
      let receipt = try store.save(content, during: interlude)
      try require(
        receipt.generation == spent, "generation \(receipt.generation) instead of \(spent)")
      ledger.acknowledge(receipt.generation, content)
      adoptFound()
    } catch let error as CheckpointError {
      if error.code != .durabilityUnknown, error.code != .alreadyExists,
        ledger.attempts[spent] == [content]
      {
        failedNames.insert(
          CheckpointName.checkpoint(step: step, generation: spent).text)
      }
      throw error
    }
  }

  private func retain(last count: Int) throws {
    ledger.retain(last: count)
    _ = try opened().retain(last: count)
  }

  private func saveEmergency(_ step: UInt64) throws {
    let store = try opened()
    spent += 1
    let content = Ledger.Content(step: step)
    ledger.attempt(spent, content)
    let receipt = try store.save(content, as: .emergency)
    try require(receipt.generation == spent, "generation \(receipt.generation) instead of \(spent)")
    ledger.acknowledgeEmergency(receipt.generation)
  }

  /// Sets aside what is damaged, as a manager does that was asked to.
  private func setAside() throws {
    let store = try opened()
    for entry in try store.entries() where entry.role == .candidate {
      guard let generation = entry.generation, ledger.damaged.contains(generation) else { continue }
      ledger.beginQuarantine(generation)
      let path = try store.setAside(entry)
      try require(path == entry.path + ".damaged", "it was called \(path)")
      ledger.quarantine(generation)
    }
  }

  // MARK: Others beside it

  /// `.lock` is held, so nobody else gets the store for writing.
  private func requireBusy() throws {
    if isLockGone { return }
    do {
      _ = try harness.open(disk)
    } catch {
      if error.code == .busy || error.systemCall != nil { return }
      throw error
    }
    throw Violation("two processes had the store open for writing")
  }

  private func saveWhileAJanitorRuns(_ step: UInt64) throws {
    _ = try opened()
    try? disk.inStore { directory in
      try self.disk.device.backend.unlink(".lock", in: directory)
    }
    isLockGone = true
    do {
      try save(step) { _ = try? self.harness.open(self.disk) }
    } catch let error as CheckpointError
      where error.errno == ENOENT && error.code != .durabilityUnknown && areLocksSound
    {
      throw Violation("a janitor removed the temporary of a living writer: \(error)")
    }
  }

  private func saveWhileAnotherSaves(_ step: UInt64) throws {
    _ = try opened()
    // Both list the store before either saves, so that both may count on one generation.
    let generation = disk.highestGeneration + 1
    let other = try harness.openWithoutLocks(disk)
    guard let recovery = try other.recover() else {
      // Two runs that begin at once in one directory are rightly ambiguous.
      return try save(step)
    }
    other.continueRun(from: recovery.reader, choice: .automatic)
    let content = Ledger.Content(step: step, writer: 1)
    var isSaved = false
    do {
      try save(step) {
        ledger.attempt(generation, content)
        guard let receipt = try? other.save(content) else { return }
        isSaved = receipt.generation == spent
        try require(receipt.generation == generation, "the other writer counts differently")
        ledger.acknowledge(receipt.generation, content)
      }
      try require(!isSaved, "two saves were acknowledged under one name")
    } catch let error as CheckpointError {
      // The other one was first: this save fails, and says that the name is taken.
      guard isSaved, error.code == .alreadyExists else { throw error }
    }
  }

  private func resumeReading() throws {
    let reader: CheckpointStore
    do {
      reader = try harness.open(disk, for: .reading)
      guard let recovery = try reader.recover() else {
        throw Violation("a reader finds nothing while a save is being written")
      }
      try check(recovery)
    } catch let error as CheckpointError {
      // What the machine refuses is no lie about the checkpoints.
      try require(error.isRefusal, "a reader is told that checkpoints are bad: \(error)")
    }
  }

  private func retainWhileHeld(last count: Int) throws {
    let held = disk.checkpointNames.first
    let reader = try harness.open(disk, for: .reading)
    guard let entry = try reader.entries().last, entry.name == held else {
      return try retain(last: count)
    }
    let open = try reader.open(entry)
    try retain(last: count)
    // A reader whose lock was refused is not in retention's way; a hold would say so.
    try require(
      disk.checkpointNames.contains(entry.name) || !open.hold().isLocked || !areLocksSound,
      "retention removed what a reader has open")
  }

  // MARK: Reading

  private func read() throws {
    let store = try harness.open(disk, for: .reading)
    guard let recovery = try store.recover() else {
      throw Violation("there is nothing to read")
    }
    try check(recovery)
    let content = ledger.mayHold(recovery.reader.header.generation)
    for row in 0..<8 {
      let bytes = try recovery.reader.read(rows: row..<row + 1, of: "matrix")
      try require(
        content.contains { Array($0.matrix[row * 40..<row * 40 + 40]) == bytes },
        "row \(row) differs from what was saved")
    }
  }

  private func verify() throws {
    let verifier = Verifier(on: harness.device(of: disk), threads: 1)
    for path in try verifier.files(at: Harness.storePath) {
      for finding in verifier.verify(path).findings {
        let isDamaged = ledger.mayBePassedOver(path.generation)
        try require(
          isDamaged || finding.isRefusal, "an intact file is called damaged: \(finding)")
        throw finding
      }
    }
  }

  // MARK: What happens to a disk

  private func tamper(_ action: Action) throws {
    store = nil
    guard let name = disk.checkpointNames.max(by: { $0.generation < $1.generation }) else { return }
    let path = Harness.storePath + "/" + name
    switch action {
    case .damage:
      guard var bytes = disk.contents(ofFileAt: path) else { return }
      let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
      bytes[Int(reader.index.chunks.entries[0].storedOffset)] ^= 1
      disk.replaceContents(ofFileAt: path, with: bytes)
      ledger.damage(name.generation)
    case .quarantine:
      try disk.inStore { directory in
        try self.disk.device.backend.renameExclusively(name, to: name + ".damaged", in: directory)
      }
      ledger.quarantine(name.generation)
    default:
      let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
      let marker = CheckpointName.pin(reader.header.checkpointIdentifier).text
      try disk.inStore { directory in
        let file = try self.disk.device.backend.open(
          marker, in: directory, for: .creating(permissions: 0o600))
        try self.disk.device.backend.close(file)
      }
      ledger.pin(name.generation)
    }
  }
}
