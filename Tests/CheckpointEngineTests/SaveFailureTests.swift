import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a save that fails leaves no trace but its generation, and earlier checkpoints as they were.
// Method: every call of a save fails in every way, once and for ever.
@Suite struct SaveFailureTests {
  private static let errnos = [EIO, ENOSPC, EDQUOT, EINTR, EROFS, EMFILE, EACCES]

  /// A state of several blocks, which takes several writes.
  private static let state: SampleState = {
    var state = SampleState(2)
    state.metadata[.state, "blocks"] = .bytes([UInt8](repeating: 7, count: 9000))
    return state
  }()

  /// A disk with one checkpoint, and the bytes of it.
  private func prepared() throws -> (disk: SimulatedDisk, name: String, bytes: [UInt8]) {
    let disk = SimulatedDisk()
    try disk.saveRun(1)
    let name = checkpointName(1, 1)
    return (disk, name, try disk.contents(name))
  }

  private func open(_ disk: SimulatedDisk) throws -> CheckpointStore {
    let store = try disk.writer()
    let recovery = try #require(try store.recover())
    store.continueRun(from: recovery.reader, choice: .automatic)
    return store
  }

  private func requireAllIntact(_ disk: SimulatedDisk, _ comment: Comment) throws {
    let verifier = Verifier(on: disk.device, threads: 1)
    for path in try verifier.files(at: "/run") {
      try #require(verifier.verify(path).findings.isEmpty, comment)
    }
  }

  /// Plays one save with a fault; true if it succeeded.
  private func play(
    _ fault: FaultPlan.Fault, errno: Int32, isCreatedUnseen: Bool, _ comment: Comment
  ) throws -> Bool {
    let (disk, name, bytes) = try prepared()
    var isSaved = false
    func save() throws {
      let store = try open(disk)
      disk.faultPlan = FaultPlan([fault])
      let code = errorCode {
        try store.save(Self.state, step: 2)
        isSaved = true
      }
      disk.faultPlan = FaultPlan()
      try #require(isSaved || code != nil, comment)
      let allowed: [CheckpointError.Code] =
        errno == ENOSPC || errno == EDQUOT
        ? [.outOfSpace, .durabilityUnknown] : [.io, .durabilityUnknown]
      try #require(
        code.map(allowed.contains) ?? true || isCreatedUnseen && code == .alreadyExists, comment)
      // What is visible is either the old one alone, or the new one complete beside it.
      try requireAllIntact(disk, comment)
      let isVisible = disk.checkpointNames.count == 2
      try #require(isVisible ? isSaved || code == .durabilityUnknown : !isSaved, comment)
      if fault.repetition == .once, !isCreatedUnseen {
        try #require(disk.temporaryNames.isEmpty, comment)
      }
      try store.save(SampleState(3), step: 3)
    }
    try save()
    try #require(disk.contents(name) == bytes, comment)
    try #require(disk.openDescriptorCount == 0, comment)
    _ = try disk.writer()
    try #require(disk.temporaryNames.isEmpty, comment)
    let recovery = try #require(try disk.reader().recover(), comment)
    try #require(recovery.generation == 3 && recovery.skipped.isEmpty, comment)
    return isSaved
  }

  @Test(arguments: errnos) func everyCallFailingInEveryWayLeavesNoTrace(errno: Int32) throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    let start = disk.operationCount
    try store.save(Self.state, step: 2)
    let operations = Array(disk.operations[start...])
    #expect(operations.count { $0.kind == .write } >= 4)
    let other: Set<DiskOperation.Kind> = [
      .open, .lock, .preallocate, .status, .truncate, .sync, .close, .rename,
    ]
    #expect(other.isSubset(of: operations.map(\.kind)), "\(operations)")
    for (index, operation) in operations.enumerated() {
      for repetition in [FaultPlan.Repetition.once, .times(3), .always] {
        for effect in [FaultPlan.Effect.error(errno), .errorAfterEffect(errno)] {
          let comment: Comment = "\(index): \(operation), \(repetition), \(effect)"
          // A temporary file that was created behind an error is swept up at the next opening.
          let isCreatedUnseen = operation.kind == .open && effect == .errorAfterEffect(errno)
          let isSaved = try play(
            FaultPlan.Fault(occurrence: index, effect, repetition), errno: errno,
            isCreatedUnseen: isCreatedUnseen, comment)
          if errno == EINTR, repetition == .once { #expect(isSaved, comment) }
        }
      }
    }
  }

  @Test func aSyncThatFailsIsNotTriedAgainOnTheSameFile() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.sync, .errorLosingChanges(EIO))])
    let start = disk.operationCount
    #expect(errorCode { try store.save(Self.state, step: 2) } == .io)
    let operations = disk.operations[start...]
    #expect(operations.count { $0.kind == .sync } == 1)
    #expect(!operations.contains { $0.kind == .rename })
    #expect(try store.save(SampleState(3), step: 3).generation == 3)
  }

  /// Network file systems and quotas may speak up only then.
  @Test(arguments: [EIO, ENOSPC, EDQUOT])
  func aCloseThatReportsAnErrorFailsTheSave(errno: Int32) throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.close, .error(errno))])
    #expect(
      errorCode { try store.save(Self.state, step: 2) } == (errno == EIO ? .io : .outOfSpace))
    #expect(disk.checkpointNames == [checkpointName(1, 1)])
    #expect(disk.temporaryNames.isEmpty)
  }

  @Test func anInterruptedCloseIsDone() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.close, .error(EINTR))])
    #expect(try store.save(Self.state, step: 2).generation == 2)
  }

  @Test func aFailedDirectorySyncIsDurabilityUnknownAndTheFileStays() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.sync, occurrence: 1, .errorLosingChanges(EIO))])
    let error = #expect(throws: CheckpointError.self) { try store.save(Self.state, step: 2) }
    #expect(error?.code == .durabilityUnknown)
    #expect(error?.errno == EIO)
    #expect(error?.message.contains(checkpointName(2, 2)) == true)
    // The directory is opened again, since its error was reported once on the old descriptor.
    #expect(disk.operations.last { $0.kind == .open }?.name == "/run")
    #expect(disk.checkpointNames == [checkpointName(1, 1), checkpointName(2, 2)])
    #expect(try disk.reader().recover()?.generation == 2)
    #expect(try store.save(SampleState(3), step: 2).generation == 3)
  }

  @Test(arguments: [EIO, ESTALE, EINTR, ENOENT])
  func aRenameThatHappenedAndReportedAnErrorIsASuccess(errno: Int32) throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.rename, .errorAfterEffect(errno))])
    #expect(try store.save(Self.state, step: 2).generation == 2)
    #expect(disk.temporaryNames.isEmpty)
    #expect(try disk.reader().recover()?.generation == 2)
  }

  @Test func aRenameThatNobodyCanTellOfIsDurabilityUnknown() throws {
    for effect in [FaultPlan.Effect.error(EIO), .errorAfterEffect(EIO)] {
      let (disk, _, _) = try prepared()
      let store = try open(disk)
      disk.faultPlan = FaultPlan([
        .init(.rename, effect), .init(.open, occurrence: 1, .error(EIO)),
      ])
      #expect(errorCode { try store.save(Self.state, step: 2) } == .durabilityUnknown)
      #expect(store.retain(last: 1).removed.isEmpty)
      #expect(disk.temporaryNames.isEmpty)
      #expect(try store.save(SampleState(3), step: 3).generation == 3)
      #expect(try disk.reader().recover()?.generation == 3)
    }
  }

  @Test(arguments: [EINVAL, ENOSYS, ENOTSUP])
  func aFileSystemThatCannotRenameExclusivelyGetsALink(errno: Int32) throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.rename, .error(errno), .always)])
    try store.save(Self.state, step: 2)
    #expect(disk.temporaryNames.isEmpty)
    #expect(disk.operations.contains { $0.kind == .link })
    #expect(try disk.reader().recover()?.generation == 2)
  }

  @Test(arguments: [false, true]) func aNameThatIsTakenIsNotReplaced(byLink: Bool) throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    try disk.put(checkpointName(2, 2), [1, 2, 3])
    if byLink { disk.faultPlan = FaultPlan([.init(.rename, .error(EINVAL), .always)]) }
    #expect(errorCode { try store.save(Self.state, step: 2) } == .alreadyExists)
    #expect(try disk.contents(checkpointName(2, 2)) == [1, 2, 3])
    #expect(disk.temporaryNames.isEmpty)
    #expect(try store.save(Self.state, step: 2).generation == 3)
  }

  @Test func aTakenTemporaryNameIsReplacedByAnother() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.open, .error(EEXIST), .times(15))])
    try store.save(Self.state, step: 2)
    disk.faultPlan = FaultPlan([.init(.open, .error(EEXIST), .always)])
    #expect(errorCode { try store.save(SampleState(3), step: 3) } == .alreadyExists)
  }

  @Test(arguments: [1, 7, 4096]) func shortTransfersMakeTheSameBytes(limit: Int) throws {
    let (whole, _, _) = try prepared()
    try open(whole).save(SampleState(2), step: 2)
    let (disk, _, _) = try prepared()
    disk.faultPlan = FaultPlan([.init(nil, .shortTransfer(byteCount: limit), .always)])
    try open(disk).save(SampleState(2), step: 2)
    #expect(try disk.contents(checkpointName(2, 2)) == whole.contents(checkpointName(2, 2)))
    try #require(try disk.reader().recover()).reader.requireHolds(SampleState(2))
  }

  @Test func aWriteThatTakesNothingIsAnErrorAndNoLoop() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.write, .shortTransfer(byteCount: 0), .always)])
    #expect(errorCode { try store.save(Self.state, step: 2) } == .io)
    #expect(disk.temporaryNames.isEmpty)
  }

  private struct Cancelled: Error, Equatable { var number: Int }

  @Test func whatTheWriterThrowsPassesUnchanged() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    let state = SampleState(2)
    for byteCount in [0, 1, 64, 150, 208] {
      #expect(throws: Cancelled(number: byteCount)) {
        try store.save(state.plan(), step: 2) { sink in
          try sink.append(Array(state.stream.prefix(byteCount)).rawSpan)
          throw Cancelled(number: byteCount)
        }
      }
      #expect(throws: Cancelled(number: -byteCount)) {
        try store.save(state.plan(), step: 2) { sink in
          unsafe try sink.fill(208) { offset, _ in
            if offset + 64 > UInt64(byteCount) { throw Cancelled(number: -byteCount) }
          }
        }
      }
      #expect(disk.temporaryNames.isEmpty)
    }
    #expect(disk.checkpointNames == [checkpointName(1, 1)])
  }

  @Test func anErrorThatTheWriterSwallowsStillFailsTheSave() throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    let state = SampleState(2, byteCount: 600_000)
    disk.faultPlan = FaultPlan([.init(.write, occurrence: 1, .error(ENOSPC))])
    let code = errorCode {
      _ = try store.save(state.plan(), step: 2) { sink in
        for byte in stride(from: 0, to: state.stream.count, by: 100_000) {
          let end = min(byte + 100_000, state.stream.count)
          try? sink.append(Array(state.stream[byte..<end]).rawSpan)
        }
      }
    }
    #expect(code == .outOfSpace)
    #expect(disk.checkpointNames == [checkpointName(1, 1)])
  }

  @Test(arguments: [0, 1, 64, 207]) func missingBytesFailTheSave(byteCount: Int) throws {
    let (disk, _, _) = try prepared()
    let store = try open(disk)
    let state = SampleState(2)
    let code = errorCode {
      _ = try store.save(state.plan(), step: 2) { sink in
        try sink.append(Array(state.stream.prefix(byteCount)).rawSpan)
      }
    }
    #expect(code == .invalidState)
    #expect(disk.checkpointNames == [checkpointName(1, 1)])
    #expect(disk.temporaryNames.isEmpty)
  }
}
