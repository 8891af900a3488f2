import CheckpointEngine
import CheckpointTesting
import Testing

// Goal: the calls of a save, in their order; a save never costs more than two syncs.
@Suite struct CommitOrderTests {
  private let disk = SimulatedDisk()

  /// The calls of `body`, several in a row of one kind on one file told once.
  private func trace(_ body: () throws -> Void) rethrows -> [String] {
    let start = disk.operationCount
    try body()
    var lines: [String] = []
    for operation in disk.operations[start...] {
      let isTemporary = operation.name.hasSuffix(".tmp")
      let line = "\(operation.kind) " + (isTemporary ? "temporary" : operation.name)
      if lines.last != line { lines.append(line) }
    }
    return lines
  }

  @Test func aSaveIsWritesThenSyncThenCloseThenRenameThenSync() throws {
    let store = try disk.writer()
    for number in UInt64(1)...3 {
      let trace = try trace { try store.save(SampleState(number), step: number) }
      #expect(
        trace == [
          "openat temporary", "flock temporary", "fallocate temporary", "pwrite64 temporary",
          "fstat temporary", "ftruncate temporary", "fsync temporary", "close temporary",
          "renameat2 temporary", "fsync /run", "fstat /run",
        ])
    }
  }

  @Test func theFileIsWrittenFromItsStartToItsEndWithoutGaps() throws {
    let store = try disk.writer()
    let start = disk.operationCount
    let receipt = try store.save(SampleState(1, byteCount: 700_000), step: 1)
    var end: UInt64 = 0
    for operation in disk.operations[start...] where operation.kind == .write {
      #expect(operation.offset == end)
      end += operation.byteCount ?? 0
    }
    #expect(end == receipt.byteCount)
    #expect(end % 4096 == 0)
  }

  @Test func eachDirectoryThatIsCreatedCostsOneSync() throws {
    let options = options(on: disk)
    let trace = try trace { _ = try CheckpointStore("/a/b/c", for: .writing, options: options) }
    #expect(trace.filter { $0.hasPrefix("mkdir") } == ["mkdir /a", "mkdir /a/b", "mkdir /a/b/c"])
    // The root was empty, so that it might have been created just now as well.
    #expect(
      trace.filter { $0.hasPrefix("fsync") } == ["fsync /..", "fsync /", "fsync /a", "fsync /a/b"])
    let again = try self.trace {
      _ = try CheckpointStore("/a/b/c", for: .writing, options: options)
    }
    #expect(!again.contains { $0.hasPrefix("fsync") || $0.hasPrefix("mkdir") })
  }

  @Test func createdDirectoriesSurviveAPowerCut() throws {
    let options = options(on: disk)
    _ = try CheckpointStore("/a/b/c", for: .writing, options: options)
    disk.crash()
    for survivor in disk.postCrashStates() {
      #expect(survivor.names(inDirectoryAt: "/a/b/c") != nil)
    }
  }

  @Test func anEmptyDirectoryIsMadeDurableWhoeverMadeIt() throws {
    try disk.device.backend.makeDirectory("/run", permissions: 0o700)
    try disk.writer().save(SampleState(1), step: 1)
    disk.crash()
    for survivor in disk.postCrashStates() {
      #expect(try survivor.reader().recover()?.step == 1)
    }
  }

  @Test func aDirectoryThatCannotBeMadeDurableIsNotUsed() throws {
    disk.faultPlan = FaultPlan([.init(.sync, occurrence: 1, .error(5), .always)])
    #expect(errorCode { _ = try disk.writer() } == .io)
    #expect(errorCode { _ = try disk.writer() } == .io)
    disk.faultPlan = FaultPlan()
    #expect(disk.storeNames.isEmpty)
  }
}
