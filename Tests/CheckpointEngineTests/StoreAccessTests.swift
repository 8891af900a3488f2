import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Foundation
import Testing

// Goal: one writer, any number of readers, and nobody else's files.
@Suite struct StoreAccessTests {
  private let disk = SimulatedDisk()

  @Test func aSecondWriterIsToldWhoTheFirstIs() throws {
    func open() throws -> CheckpointStore { try disk.writer() }
    func openTwice() throws {
      let first = try open()
      let error = #expect(throws: CheckpointError.self) { try open() }
      #expect(error?.code == .busy)
      #expect(
        error?.message.contains("process \(ProcessInfo.processInfo.processIdentifier)") == true)
      try first.save(SampleState(1), step: 1)
      #expect(try disk.reader().recover()?.step == 1)
    }
    try openTwice()
    _ = try open()
    #expect(disk.openDescriptorCount == 0)
  }

  @Test func theTimeoutIsWaitedForAndThenHonoured() throws {
    func openTwice() throws {
      let first = try disk.writer()
      let clock = disk.device.timeSource
      let start = clock.monotonic()
      let options = options(on: disk, lockTimeout: 2.5)
      let error = #expect(throws: CheckpointError.self) {
        try CheckpointStore("/run", for: .writing, options: options)
      }
      let waited = Double(clock.monotonic() - start) / 1e9
      #expect(error?.code == .busy)
      #expect(error?.message.contains("2.5 seconds") == true)
      #expect((2.5...2.7).contains(waited))
      try first.save(SampleState(1), step: 1)
    }
    try openTwice()
  }

  @Test func aWriterWaitsForAnotherProcessToEnd() throws {
    try withTemporaryDirectory { path in
      let backend = StorageDevice.posix.backend
      let directory = try backend.openDirectory(path)
      let lock = try backend.open(".lock", in: directory, for: .locking(permissions: 0o600))
      #expect(try backend.lock(lock, .exclusive))
      let thread = Thread {
        StorageDevice.posix.timeSource.sleep(150_000_000)
        try? backend.close(lock)
      }
      thread.start()
      var options = posixOptions()
      options.lockTimeout = 20
      try CheckpointStore(path, for: .writing, options: options).save(SampleState(1), step: 1)
      try backend.close(directory)
    }
  }

  @Test func aLockFileThatCannotBeWrittenIsAnError() throws {
    try disk.saveRun(1)
    disk.faultPlan = FaultPlan([.init(.lock, .error(EIO))])
    #expect(errorCode { _ = try disk.writer() } == .io)
    // The holder's number is for the message only.
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    _ = try disk.writer()
    #expect(disk.openDescriptorCount == 0)
  }

  // MARK: Temporary files

  private func temporaryName(_ digit: String) -> String {
    ".step-000000009.g000009." + String(repeating: digit, count: 32) + ".tmp"
  }

  @Test func deadTemporariesGoAndLivingOnesAndForeignOnesStay() throws {
    try disk.saveRun(1)
    let foreign = [
      ".step-9.tmp", "step-000000009.g000009.tmp", ".step-000000009.g000009.abc.tmp",
      ".step-000000009.g000009.\(String(repeating: "A", count: 32)).tmp", "x.tmp", ".x.tmp",
    ]
    for name in foreign + [temporaryName("a"), temporaryName("b")] { try disk.put(name, [1]) }
    try disk.device.backend.makeDirectory("/run/" + temporaryName("c"), permissions: 0o700)
    let backend = disk.device.backend
    let directory = try backend.openDirectory("/run")
    let living = try backend.open(temporaryName("b"), in: directory, for: .reading)
    #expect(try backend.lock(living, .exclusive))

    _ = try disk.reader()
    #expect(disk.storeNames.contains(temporaryName("a")))
    #expect(try disk.writer().save(SampleState(2), step: 2).generation == 10)
    let kept = foreign + [temporaryName("b"), temporaryName("c"), ".lock"]
    #expect(Set(disk.storeNames) == Set(kept + disk.checkpointNames))
    try backend.close(living)
    _ = try disk.writer()
    #expect(!disk.storeNames.contains(temporaryName("b")))
    try backend.close(directory)
  }

  /// Whoever could take its lock would sweep it up.
  @Test func aSaveInFlightHoldsTheLockOfItsTemporary() throws {
    let store = try disk.writer()
    let state = SampleState(1)
    _ = try store.save(state.plan(), step: 1) { sink in
      let name = try #require(disk.temporaryNames.first)
      let backend = disk.device.backend
      let directory = try backend.openDirectory("/run")
      let file = try backend.open(name, in: directory, for: .reading)
      #expect(try !backend.lock(file, .exclusive))
      try backend.close(file)
      try backend.close(directory)
      try sink.append(state.stream.rawSpan)
    }
  }

  @Test func aTemporaryThatCannotBeRemovedDoesNotKeepTheStoreShut() throws {
    try disk.saveRun(1)
    try disk.put(temporaryName("a"), [1])
    disk.faultPlan = FaultPlan([.init(.unlink, .error(EACCES), .always)])
    _ = try disk.writer()
    disk.faultPlan = FaultPlan()
    _ = try disk.writer()
    #expect(disk.temporaryNames.isEmpty)
  }

  // MARK: Readers and removal

  @Test func aReaderLooksAgainIfTheNameIsGoneBeforeItHoldsTheFile() throws {
    try disk.saveRun(1)
    // Calls of one opening: fstat of the file, then fstatat of its name.
    disk.faultPlan = FaultPlan([.init(.status, occurrence: 1, .error(ENOENT))])
    let start = disk.operationCount
    let path = "/run/" + checkpointName(1, 1)
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    try reader.requireHolds(SampleState(1))
    let opened = disk.operations[start...].count {
      $0.kind == .open && $0.name == checkpointName(1, 1)
    }
    #expect(opened == 2)
  }

  @Test func aRefusedLockClosesItsDescriptorOnce() throws {
    let first = try disk.writer()
    let start = disk.operationCount
    #expect(errorCode { _ = try disk.writer() } == .busy)
    let calls = disk.operations[start...].filter { $0.kind == .open || $0.kind == .close }
    // A second close of a number would be an open too few: it may be another file's by then.
    #expect(calls.count { $0.kind == .open } == calls.count { $0.kind == .close })
    withExtendedLifetime(first) {}
  }

  @Test func aLockThatSomebodyElseHoldsKeepsNobodyFromReading() throws {
    try disk.saveRun(1)
    let backend = disk.device.backend
    let directory = try backend.openDirectory("/run")
    let file = try backend.open(checkpointName(1, 1), in: directory, for: .reading)
    #expect(try backend.lock(file, .exclusive))
    #expect(try disk.reader().recover()?.generation == 1)
  }

  @Test func aRemovedCheckpointStaysReadableForWhoHasItOpen() throws {
    try withTemporaryDirectory { path in
      let store = try CheckpointStore(path, for: .writing, options: posixOptions())
      let receipt = try store.save(SampleState(1), step: 1)
      let reader = try CheckpointReader.open(path: receipt.path)
      try FileManager.default.removeItem(atPath: receipt.path)
      try reader.requireHolds(SampleState(1))
      #expect(errorCode { _ = try CheckpointReader.open(path: receipt.path) } == .notFound)
    }
  }

  @Test func symbolicLinksAndFIFOsAreNoCheckpoints() throws {
    try withTemporaryDirectory { path in
      let store = try CheckpointStore(path, for: .writing, options: posixOptions())
      let receipt = try store.save(SampleState(1), step: 1)
      let link = path + "/" + checkpointName(2, 2)
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: receipt.path)
      try #require(unsafe mkfifo(path + "/" + checkpointName(3, 3), 0o600) == 0)
      let recovery = try #require(try store.recover())
      #expect(recovery.generation == 1)
      #expect(recovery.skipped.map(\.reason.code) == [.notRegular, .notRegular])
      #expect(errorCode { _ = try CheckpointReader.open(path: link) } == .notRegular)
      // Their names bear generations, which are not given out again.
      #expect(try store.save(SampleState(4), step: 4).generation == 4)
    }
  }

  // MARK: Permissions

  @Test(arguments: [
    (FilePermissions.private, 0o600, 0o700), (.umask, 0o666, 0o777), (.inherit, 0o640, 0o777),
  ])
  func filesGetTheModeOfTheirPolicy(
    policy: FilePermissions, fileMode: Int, directoryMode: Int
  ) throws {
    let mask = Int(umask(0))
    _ = umask(mode_t(mask))
    try withTemporaryDirectory { path in
      let directory = path + "/a/b"
      let options = posixOptions(permissions: policy)
      let store = try CheckpointStore(directory, for: .writing, options: options)
      #expect(try permissions(of: directory) == directoryMode & ~mask)
      #expect(try permissions(of: path + "/a") == directoryMode & ~mask)
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o750], ofItemAtPath: directory)
      let receipt = try store.save(SampleState(1), step: 1)
      let expected = policy == .umask ? fileMode & ~mask : fileMode
      #expect(try permissions(of: receipt.path) == expected)
      // Whoever may save into the store has to be able to lock it; it was made before the 0750.
      let lockMode = policy == .private ? 0o600 : 0o666 & ~mask
      #expect(try permissions(of: directory + "/.lock") == lockMode)
    }
  }
}
