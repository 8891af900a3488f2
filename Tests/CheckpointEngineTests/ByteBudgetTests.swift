import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: the files of a store have at most as many bytes as its budget, what goes for that is the oldest
// and never what must stay, and what must stay is told.
@Suite struct ByteBudgetTests {
  private let disk = SimulatedDisk()
  /// Of each file that `save` makes.
  private let size: UInt64 = 8192

  private func save(_ steps: ClosedRange<UInt64>, to store: CheckpointStore) throws {
    for step in steps {
      var state = SampleState(step)
      state.metadata[.metric, "loss"] = .float64(step == 2 ? 0 : Double(step))
      let receipt = try store.save(state, step: step)
      try #require(receipt.byteCount == size)
    }
  }

  private func steps() throws -> [UInt64] { try disk.reader().entries().map(\.step).sorted() }

  @Test(
    arguments: [(1, [4]), (2, [3, 4]), (3, [2, 3, 4]), (9, [1, 2, 3, 4])] as [(UInt64, [UInt64])])
  func theOldestGo(_ count: UInt64, _ left: [UInt64]) throws {
    let store = try disk.writer()
    try save(1...4, to: store)
    let policy = RetentionPolicy.all.withinBudget(ofBytes: count * size + 100)
    let plan = try store.retentionPlan(policy)
    #expect(plan.filter { !$0.isRemoved }.map(\.entry.step) == left.reversed())
    #expect(plan.filter(\.isRemoved).allSatisfy { $0.isOverBudget && $0.reasons == [.everything] })
    let report = store.retain(policy)
    #expect(report.removed.count == 4 - left.count && report.warnings.isEmpty)
    #expect(try steps() == left)
  }

  @Test func theBestGoLast() throws {
    let store = try disk.writer()
    try save(1...5, to: store)
    let best = RetentionPolicy.best(1, of: "loss", .lowest).withinBudget(ofBytes: 2 * size)
    let all = try store.retentionPlan(.all + best)
    #expect(all.filter { !$0.isRemoved }.map(\.entry.step) == [5, 2])
    _ = store.retain(.last(3) + best)
    #expect(try steps() == [2, 5])
    let report = store.retain(.last(3) + best.withinBudget(ofBytes: size))
    #expect(report.removed.count == 1 && report.warnings.isEmpty)
    #expect(try steps() == [5])
  }

  @Test func whatMustStayExceedsTheBudgetWithAWarning() throws {
    try save(1...2, to: disk.writer())
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    try save(3...3, to: store)
    let first = try #require(try store.entries().last?.header?.checkpointIdentifier)
    try disk.put(".pin-\(first)", [])
    let report = store.retain(.every(steps: 1).withinBudget(ofBytes: 1))
    #expect(report.removed.map { $0.hasSuffix(checkpointName(2, 2)) } == [true])
    #expect(report.warnings.count == 1)
    #expect(
      report.warnings.first?.contains("\(2 * size) bytes, more than their budget of 1") == true)
    #expect(try steps() == [1, 3])
  }

  @Test func theBestDoNotGoForABudgetThatCannotBeMet() throws {
    let store = try disk.writer()
    try save(1...4, to: store)
    try disk.put(checkpointName(9, 9) + ".damaged", [UInt8](repeating: 0, count: 9 * Int(size)))
    let best = RetentionPolicy.best(1, of: "loss", .lowest)
    let report = store.retain((.all + best).withinBudget(ofBytes: 3 * size))
    #expect(report.warnings.count == 1)
    #expect(try steps() == [2, 4, 9])
  }

  @Test func whatFitsIsNotReadToFindThatOut() throws {
    try save(1...20, to: disk.writer())
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    func readsOfRetention(_ budget: UInt64) -> Int {
      let start = disk.operationCount
      _ = store.finishRetention(.all.withinBudget(ofBytes: budget))
      return disk.operations[start...].count { $0.kind == .read }
    }
    // Headers alone, and then what goes and the two that must stay.
    let headers = readsOfRetention(20 * size)
    #expect(headers <= 3 * 20)
    #expect(readsOfRetention(18 * size) < headers * 4)
    #expect(try steps() == Array(3...20))
  }

  @Test func whatNobodyHadToReadIsLookedAtBeforeItGoes() throws {
    try save(1...6, to: disk.writer())
    try disk.damage(checkpointName(1, 1))
    try disk.put("copy", disk.contents(checkpointName(3, 3)))
    try disk.put("step-3.ckpt", disk.contents(checkpointName(3, 3)))
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover()).reader, choice: .automatic)
    // A damaged one does not go, and of two names of one file one counts.
    _ = store.finishRetention(.all.withinBudget(ofBytes: 5 * size))
    #expect(try steps() == [1, 3, 4, 5, 6])
  }

  @Test func sumsDoNotOverflow() {
    #expect([UInt64.max, 1].saturatingSum == .max && [UInt64]().saturatingSum == 0)
    let huge = RetentionPolicy.last(2) + .best(.max, of: "loss", .lowest)
    #expect(huge.countAtLeast == .max && huge.boundedCount == .max)
  }

  @Test func filesInEveryConditionCount() throws {
    let store = try disk.writer()
    try save(1...4, to: store)
    try disk.put(checkpointName(9, 9) + ".damaged", [UInt8](repeating: 0, count: Int(size)))
    _ = store.retain(.all.withinBudget(ofBytes: 3 * size))
    #expect(try disk.reader().entries().map(\.step) == [9, 4, 3])
  }

  @Test func theOnlyOneThatIsLeftIsReadBackFirst() throws {
    let store = try disk.writer()
    try save(1...2, to: store)
    try disk.damage(checkpointName(2, 2))
    let report = store.retain(.all.withinBudget(ofBytes: size))
    #expect(report.removed.isEmpty && report.warnings.count == 1)
    #expect(try steps() == [1, 2])
  }

  @Test func policiesAreJoined() throws {
    let small = RetentionPolicy.last(2).withinBudget(ofBytes: 10)
    let large = RetentionPolicy.every(steps: 5).withinBudget(ofBytes: 20)
    #expect((small + large).byteBudget == 10)
    #expect((small + .last(9)).byteBudget == 10)
    #expect((small + .all).byteBudget == 10 && (small + .all).keepsEverything)
    #expect(!(small + .all).keepsAll)
    // A resume keeps what the process before kept.
    #expect(small.union(small) == small)
    #expect(small.union(large).byteBudget == nil)
    #expect(small.union(.last(9)).byteBudget == nil)
    var metadata = Metadata()
    (small + large).record(in: &metadata)
    #expect(RetentionPolicy(recordedIn: metadata) == small + large)
    metadata = Metadata()
    (small + .all).record(in: &metadata)
    #expect(RetentionPolicy(recordedIn: metadata) == small + .all)
    // A reader that does not know it sees no rule, and removes nothing.
    #expect(metadata[.environment, "retention_last"] == nil)
  }
}
