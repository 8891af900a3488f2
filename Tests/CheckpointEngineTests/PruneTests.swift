import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: between two processes of a run, what no rule keeps can be removed, and nothing that a run needs.
@Suite struct PruneTests {
  private let disk = SimulatedDisk()

  private func steps() throws -> [UInt64] { try disk.reader().entries().map(\.step).sorted() }

  private func prune(_ policy: RetentionPolicy) throws -> RetentionReport {
    let store = try disk.writer()
    #expect(try store.standAtNewest())
    return store.prune(policy)
  }

  @Test func theNewestAndTheOneBeforeItStay() throws {
    try disk.saveRun(1, 2, 3, 4)
    let report = try prune(.last(1))
    #expect(report.removed.count == 2 && report.warnings.isEmpty)
    #expect(try steps() == [3, 4])
    #expect(try disk.reader().recover()?.step == 4)
  }

  @Test func howFarVerifyingIsIsToldWhereverItHappens() throws {
    try disk.saveRun(1, 2, 3, 4)
    let store = try disk.writer()
    var told: [(name: String, done: UInt64, total: UInt64)] = []
    store.verificationProgress = { told.append(($0, $1, $2)) }
    #expect(try store.standAtNewest())
    #expect(!told.isEmpty && told.allSatisfy { $0.name == checkpointName(4, 4) })
    #expect(told.allSatisfy { $0.done <= $0.total })
    let size = try #require(try store.entries().first).byteCount
    #expect(told.last?.total == size)
    told = []
    // Of several that are kept each is verified, so that damaged ones do not count.
    #expect(store.prune(.last(2)).removed.count == 2)
    #expect(told.contains { $0.name == checkpointName(3, 3) })
  }

  @Test func theNewestIntactStaysIfNewerOnesAreDamaged() throws {
    try disk.saveRun(1, 2, 3, 4, 5)
    try disk.damage(checkpointName(5, 5))
    try disk.damage(checkpointName(2, 2))
    _ = try prune(.last(1))
    // Damaged ones neither count nor go.
    #expect(try steps() == [2, 3, 4, 5])
    #expect(try disk.reader().recover()?.step == 4)
  }

  @Test func pinnedOnesAndEmergenciesStay() throws {
    try disk.saveRun(1, 2, 3, 4)
    let reader = try disk.reader()
    try reader.pin(try #require(try reader.entries().last))
    do {
      let failing = try disk.writer()
      _ = try failing.standAtNewest()
      let state = SampleState(9)
      _ = try failing.save(state.plan(), step: 9, as: .emergency) { sink in
        try sink.append(state.stream.rawSpan)
      }
    }
    #expect(try prune(.last(1)).removed.count == 1)
    #expect(try steps() == [1, 3, 4, 9])
  }

  @Test func aPlanChangesNothingAndIsWhatHappens() throws {
    try disk.saveRun(1, 2, 3, 4, 5)
    let before = disk.storeNames
    let store = try disk.reader()
    #expect(try store.standAtNewest())
    let plan = try store.retentionPlan(.last(2))
    #expect(disk.storeNames == before)
    let expected = plan.filter(\.isRemoved).map(\.entry.path)
    #expect(expected.count == 3)
    #expect(try prune(.last(2)).removed == expected.reversed())
  }

  @Test func withoutTheOneBeforeTheNewestNothingGoes() throws {
    try disk.saveRun(1, 2, 3, 4)
    try disk.remove(checkpointName(3, 3))
    #expect(try prune(.last(1)).removed.isEmpty)
    #expect(try steps() == [1, 2, 4])
  }

  @Test func whatStaysIsDurableBeforeAnythingGoes() throws {
    try disk.saveRun(1, 2, 3, 4)
    let store = try disk.writer()
    _ = try store.standAtNewest()
    let start = disk.operations.count
    _ = store.prune(.last(1))
    let kinds = disk.operations.dropFirst(start).map(\.kind)
    let first = try #require(kinds.firstIndex(of: .unlink))
    #expect(kinds[..<first].contains(.sync))
  }

  @Test func aStoreThatIsOpenOrUnclearIsRefused() throws {
    try disk.saveRun(1, 2, 3)
    let run = try disk.writer()
    #expect(errorCode { _ = try disk.writer() } == .busy)
    withExtendedLifetime(run) {}
    // Somebody has put the newest of another run in.
    let other = SimulatedDisk(seed: 2)
    try other.saveRun(11, 12)
    let name = checkpointName(12, 2)
    try disk.put(name, try other.contents(name))
    #expect(errorCode { _ = try disk.reader().standAtNewest() } == .ambiguous)
    #expect(try !SimulatedDisk().writer().standAtNewest())
  }
}
