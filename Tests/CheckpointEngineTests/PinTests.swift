import CheckpointEngine
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a pin keeps its checkpoint, whoever sets it and whenever, and is durable when it is set.
@Suite struct PinTests {
  private let disk = SimulatedDisk()

  @Test func aPinnedCheckpointStaysUntilItIsUnpinned() throws {
    let writer = try disk.writer()
    for step in UInt64(1)...3 { try writer.save(SampleState(step), step: step) }
    // Somebody else, while the store is open for writing.
    let other = try disk.reader()
    let oldest = try #require(try other.entries().last)
    try other.pin(oldest)
    try other.pin(oldest)
    #expect(try writer.entries().map(\.isPinned) == [false, false, true])
    #expect(writer.retain(last: 1).removed.count == 1)
    #expect(try writer.entries().map(\.step) == [3, 1])
    try other.unpin(oldest)
    try other.unpin(oldest)
    #expect(try writer.entries().allSatisfy { !$0.isPinned })
    #expect(writer.retain(last: 1).removed.count == 1)
  }

  @Test func aPinOutlivesAPowerCut() throws {
    try disk.saveRun(1, 2)
    let store = try disk.reader()
    try store.pin(try #require(try store.entries().last))
    disk.crash(beforeOperation: disk.operationCount)
    for state in disk.postCrashStates() {
      #expect(try state.reader().entries().map(\.isPinned) == [false, true])
    }
  }

  @Test func whatCannotBePinnedIsTold() throws {
    try disk.saveRun(1, 2)
    let store = try disk.reader()
    let entries = try store.entries()
    try disk.remove(checkpointName(1, 1))
    #expect(errorCode { try store.pin(entries[1]) } == .notFound)
    disk.replace(checkpointName(2, 2), with: [1])
    let damaged = try #require(try store.entries().first)
    #expect(errorCode { try store.pin(damaged) } == .corrupted)
    disk.faultPlan = FaultPlan([.init(.open, occurrence: 1, .error(EACCES))])
    #expect(errorCode { try store.pin(entries[0]) } == .io)
    disk.faultPlan = FaultPlan([.init(.sync, .error(EIO))])
    #expect(errorCode { try store.pin(entries[0]) } == .io)
  }

  @Test func anyCallOfAPinMayFail() throws {
    try disk.saveRun(1)
    for kind in [DiskOperation.Kind.status, .unlink, .open, .sync, .close] {
      for occurrence in 0..<6 {
        let disk = disk.copy()
        let store = try disk.reader()
        let entry = try #require(try store.entries().first)
        disk.faultPlan = FaultPlan([.init(kind, occurrence: occurrence, .error(EIO))])
        for change in [store.pin, store.unpin] {
          do throws(CheckpointError) {
            try change(entry)
          } catch {
            #expect([.io, .unreadable].contains(error.code), "\(kind) \(occurrence): \(error)")
          }
        }
        disk.faultPlan = FaultPlan()
        try store.pin(entry)
        #expect(try store.entries().map(\.isPinned) == [true])
      }
    }
  }
}
