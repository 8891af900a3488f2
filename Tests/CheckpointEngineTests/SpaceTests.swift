import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Foundation
import Testing

// Goal: a full disk costs the save and nothing else, and the error says how much was missing.
@Suite struct SpaceTests {
  @Test func aSaveSucceedsExactlyIfItFits() throws {
    let reference = SimulatedDisk()
    try reference.saveRun(1)
    let store = try reference.writer()
    let needed = try store.save(SampleState(2), step: 2).byteCount
    let used = try UInt64(reference.contents(checkpointName(1, 1)).count)
    for room in Array(stride(from: UInt64(0), to: needed, by: 97)) + [needed - 1, needed] {
      let disk = SimulatedDisk()
      try disk.saveRun(1)
      let store = try disk.writer()
      let lock = try UInt64(disk.contents(".lock").count)
      disk.capacity = used + lock + room
      let before = try disk.contents(checkpointName(1, 1))
      let code = errorCode { try store.save(SampleState(2), step: 2) }
      #expect(code == (room < needed ? .outOfSpace : nil), "\(room) of \(needed)")
      #expect(disk.temporaryNames.isEmpty)
      #expect(try disk.contents(checkpointName(1, 1)) == before)
      disk.capacity = used + lock + needed * 2
      if code != nil { #expect(try store.save(SampleState(2), step: 2).generation == 3) }
    }
  }

  @Test func theErrorSaysWhatWasNeededWrittenAndFree() throws {
    let disk = SimulatedDisk()
    let store = try disk.writer()
    disk.capacity = 6000
    let error = #expect(throws: CheckpointError.self) { try store.save(SampleState(1), step: 1) }
    #expect(error?.code == .outOfSpace)
    #expect(error?.systemCall == "pwrite64")
    let message = error?.message ?? ""
    #expect(message.contains("needed at most"))
    #expect(message.contains("were written"))
    #expect(message.contains("bytes were free"))
    #expect(message.contains("Earlier checkpoints are intact"))
  }

  /// Encoded chunks may need far less than was reserved for them.
  @Test func aStateThatOnlyFitsEncodedIsSaved() throws {
    let disk = SimulatedDisk()
    let store = try disk.writer(4096)
    disk.capacity = 40_000
    var state = SampleState()
    state.add("zeros", .uint8, [200_000], [UInt8](repeating: 0, count: 200_000))
    #expect(try store.save(state, step: 1).byteCount < 40_000)
  }

  @Test func aFileLargerThanTheProcessMayWriteIsOutOfSpace() throws {
    let disk = SimulatedDisk()
    let store = try disk.writer()
    disk.faultPlan = FaultPlan([.init(.write, occurrence: 1, .error(EFBIG))])
    let error = #expect(throws: CheckpointError.self) { try store.save(SampleState(1), step: 1) }
    #expect(error?.code == .outOfSpace)
    #expect(error?.message.contains("ulimit") == true)
  }

  // MARK: A real file system

  private static func run(_ tool: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: tool)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  private static func withSmallDisk(
    _ options: String, _ body: (String) throws -> Void
  ) throws -> Bool {
    try withTemporaryDirectory { path in
      guard run("/bin/mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]) else { return false }
      defer { _ = run("/bin/umount", [path]) }
      try body(path)
      return true
    }
  }

  /// Whether this process may mount; without it the test is skipped, which its report shows.
  private static let canMount = (try? withSmallDisk("size=64k") { _ in }) == true

  @Test(.enabled(if: canMount, "needs the right to mount a tmpfs"))
  func aRealDiskThatRunsFullLeavesTheEarlierCheckpointIntact() throws {
    let isMounted = try Self.withSmallDisk("size=256k") { path in
      let store = try CheckpointStore(path, for: .writing, options: posixOptions())
      let first = try store.save(SampleState(1, byteCount: 100_000), step: 1)
      for step in UInt64(2)...3 {
        let state = SampleState(step, byteCount: 200_000)
        let error = #expect(throws: CheckpointError.self) { try store.save(state, step: step) }
        #expect(error?.code == .outOfSpace)
        #expect(error?.message.contains("bytes were free") == true)
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: path)
      #expect(Set(names) == [".lock", checkpointName(1, 1)])
      #expect(Verifier().verify(first.path).isIntact)
      #expect(try store.save(SampleState(4, byteCount: 50_000), step: 4).generation == 4)
    }
    #expect(isMounted)
  }

  @Test(.enabled(if: canMount, "needs the right to mount a tmpfs"))
  func aReadOnlyFileSystemIsReadAndNotWritten() throws {
    let isMounted = try Self.withSmallDisk("size=256k") { path in
      try CheckpointStore(path, for: .writing, options: posixOptions())
        .save(SampleState(1), step: 1)
      try #require(Self.run("/bin/mount", ["-o", "remount,ro", path]))
      let error = #expect(throws: CheckpointError.self) {
        try CheckpointStore(path, for: .writing, options: posixOptions())
      }
      #expect(error?.code == .io)
      #expect(error?.errno == EROFS)
      let reader = try CheckpointStore(path, for: .reading, options: posixOptions())
      try #require(try reader.recover()).reader.requireHolds(SampleState(1))
    }
    #expect(isMounted)
  }
}
