import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: each rule of a policy keeps what it says and why, a union keeps what any rule keeps, and an
// abandoned branch wins nothing.
@Suite struct RetentionPolicyTests {
  private let disk = SimulatedDisk()

  /// Saves steps with the losses given for them.
  private func save(_ losses: [(step: UInt64, loss: Double?)], to store: CheckpointStore) throws {
    for (step, loss) in losses {
      let state = SampleState(step)
      var plan = try state.plan()
      if let loss { plan.metadata[.metric, "loss"] = .float64(loss) }
      _ = try store.save(plan, step: step) { sink in
        for tensor in state.tensors where tensor.aliasOf == nil {
          try sink.append(tensor.bytes.rawSpan)
        }
      }
    }
  }

  private func steps() throws -> [UInt64] {
    try disk.reader().entries().map(\.step).sorted()
  }

  @Test func theBestOfAMetricStay() throws {
    let store = try disk.writer()
    try save([(1, 5), (2, 1), (3, 3), (4, 1), (5, .nan), (6, nil), (7, 9)], to: store)
    let lowest = try store.retentionPlan(.best(2, of: "loss", .lowest))
    #expect(lowest.filter { !$0.isRemoved }.map(\.entry.step) == [7, 4, 2])
    let highest = try store.retentionPlan(.best(1, of: "loss", .highest))
    #expect(highest.filter { !$0.isRemoved }.map(\.entry.step) == [7])
    // Of equal values the older.
    let report = store.retain(.best(1, of: "loss", .lowest))
    #expect(report.removed.count == 5 && report.warnings.isEmpty)
    #expect(try steps() == [2, 7])
  }

  @Test func aMetricThatNobodyMeasuredKeepsTheNewest() throws {
    let store = try disk.writer()
    try save([(1, 5), (2, 1)], to: store)
    _ = store.retain(.best(3, of: "accuracy", .highest))
    #expect(try steps() == [2])
  }

  @Test func theFirstOfEachIntervalStays() throws {
    let store = try disk.writer()
    for step in UInt64(1)...12 {
      try save([(step * 30, nil)], to: store)
      _ = store.retain(.every(steps: 100))
    }
    // 30, 60 and 90 come before the first multiple.
    #expect(try steps() == [120, 210, 300, 360])
  }

  @Test func youngOnesStay() throws {
    let store = try disk.writer()
    try save([(1, nil), (2, nil)], to: store)
    disk.device.timeSource.sleep(60_000_000_000)
    try save([(3, nil), (4, nil)], to: store)
    #expect(store.retain(.within(.seconds(3600))).removed.isEmpty)
    #expect(store.retain(.within(.seconds(Int64.max))).removed.isEmpty)
    #expect(store.retain(.within(.seconds(30))).removed.count == 2)
    #expect(store.retain(.within(.zero)).removed.count == 1)
    #expect(try steps() == [4])
  }

  @Test func aUnionKeepsWhatAnyRuleKeepsAndSaysWhy() throws {
    let store = try disk.writer()
    try save([(100, 3), (150, 1), (200, 2), (250, 4), (300, 5), (350, 6)], to: store)
    let policy: RetentionPolicy = .last(2) + .best(1, of: "loss", .lowest) + .every(steps: 200)
    let plan = try store.retentionPlan(policy)
    #expect(try steps().count == 6)
    #expect(
      plan.map(\.reasons) == [
        [.newest, .rule(.last(2))], [.rule(.last(2))], [], [.rule(.every(steps: 200))],
        [.rule(.best(1, metric: "loss", .lowest))], [],
      ])
    #expect(store.retain(policy).removed == [plan[5], plan[2]].map(\.entry.path))
    #expect(store.retain(policy + .all).removed.isEmpty)
    #expect(try store.retentionPlan(.all).allSatisfy { $0.reasons.contains(.everything) })
  }

  @Test func everyReasonIsToldInWords() throws {
    let reasons: [(RetentionDecision.Reason, String)] = [
      (.rule(.last(2)), "among the newest 2"),
      (.rule(.best(1, metric: "loss", .lowest)), "among the 1 with the lowest loss"),
      (.rule(.every(steps: 9)), "first at or after a multiple of 9 steps"),
      (.rule(.within(nanoseconds: 5_000_000_000)), "younger than 5 seconds"),
      (.everything, "everything is kept"), (.newest, "the newest"),
      (.lastAcknowledged, "the last that is known to be durable"), (.pinned, "pinned"),
      (.resumedFrom, "the run was resumed from it"), (.notCounted, "not counted"),
      (.newestHealthy, "the newest healthy one"),
    ]
    for (reason, words) in reasons { #expect(reason.description == words) }
  }

  @Test func whatStaysOutOfCautionIsTold() throws {
    let writer = try disk.writer()
    #expect(errorCode { _ = try writer.retentionPlan(.last(1)) } == .invalidState)
    try save([(1, nil), (2, nil), (3, nil), (4, nil), (5, nil)], to: writer)
    let entries = try writer.entries()
    try disk.put(".pin-\(try #require(entries[4].header?.checkpointIdentifier))", [])
    try disk.damage(checkpointName(4, 4))
    try disk.put(checkpointName(2, 2) + ".damaged", disk.contents(checkpointName(2, 2)))
    try disk.remove(checkpointName(2, 2))
    writer.continueRun(
      from: try #require(try writer.recover(.step(3))).reader, choice: .deliberate)
    let plan = try writer.retentionPlan(.last(1))
    #expect(
      plan.map(\.reasons) == [
        // The parent of the one resumed from is gone, so that nothing is known to be durable.
        [.newest, .rule(.last(1))], [.lastAcknowledged], [.lastAcknowledged, .resumedFrom],
        [.notCounted], [.pinned, .lastAcknowledged],
      ])
  }

  @Test func anAbandonedBranchWinsNothing() throws {
    try save([(1, 9), (2, 1), (3, 8)], to: disk.writer())
    let rule = RetentionPolicy.Rule.best(1, metric: "loss", .lowest)
    let policy: RetentionPolicy = .last(1) + .best(1, of: "loss", .lowest)
    func best(_ store: CheckpointStore) throws -> [UInt64?] {
      try store.retentionPlan(policy).filter { $0.reasons.contains(.rule(rule)) }
        .map(\.entry.generation)
    }
    // Taken back to step 1: what was saved after it is no ancestor, then or after a restart.
    for generation in UInt64(4)...5 {
      try resumed(at: .generation(1), .deliberate) { store in
        try save([(2, 5)], to: store)
        let now = try best(store)
        #expect(now == [generation])
      }
      try resumed(at: .latest, .automatic) { store in
        let later = try best(store)
        #expect(later == [generation])
      }
    }
    try resumed(at: .latest, .automatic) { store in
      try save([(3, 7)], to: store)
      _ = store.retain(policy)
    }
    #expect(try disk.reader().entries().compactMap(\.generation) == [6, 5])
  }

  @Test func aCopyOfAFileThatIsGoneLeavesItsAncestorsInTheLineage() throws {
    try save([(100, 1), (200, 2), (250, 3), (300, 4)], to: disk.writer())
    try disk.put("copy", disk.contents(checkpointName(250, 3)))
    try disk.remove(checkpointName(250, 3))
    let store = try disk.writer()
    let reader = try CheckpointReader.open(path: "/run/copy", on: disk.device, threads: 1)
    store.continueRun(from: reader, choice: .deliberate)
    try save([(260, 5)], to: store)
    let plan = try store.retentionPlan(.every(steps: 100) + .best(1, of: "loss", .lowest))
    // Step 300 was left behind.
    #expect(plan.map(\.entry.step) == [260, 300, 200, 100])
    #expect(plan.map(\.isRemoved) == [false, true, false, false])
  }

  private func resumed(
    at selection: CheckpointSelection, _ choice: ResumeChoice,
    _ body: (CheckpointStore) throws -> Void
  ) throws {
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover(selection)).reader, choice: choice)
    try body(store)
  }

  @Test func aDamagedBestIsReplacedByTheNextBestAndStays() throws {
    try save([(1, 2), (2, 1), (3, 3), (4, 4)], to: disk.writer())
    try disk.damage(checkpointName(2, 2))
    try resumed(at: .latest, .automatic) { store in
      try save([(5, 5)], to: store)
      _ = store.retain(.best(1, of: "loss", .lowest))
      #expect(try steps() == [1, 2, 5])
      try save([(6, 6)], to: store)
      _ = store.retain(.best(1, of: "loss", .lowest))
      #expect(try steps() == [1, 2, 6])
    }
  }

  @Test func aCheckpointOfAnotherStoreLeavesNothingOfThisOneInTheLineage() throws {
    try save([(1, 1), (2, 2)], to: disk.writer())
    let other = try CheckpointStore("/other", for: .writing, options: options(on: disk))
    try save([(7, 3)], to: other)
    let store = try disk.writer()
    let recovery = try #require(try other.recover())
    store.continueRun(from: recovery.reader, choice: .deliberate)
    try save([(8, 4)], to: store)
    _ = store.retain(.best(1, of: "loss", .lowest))
    #expect(try steps() == [8])
  }

  @Test func aPolicyIsReadBackAsItWasRecorded() throws {
    let policies: [RetentionPolicy] = [
      .all, .last(3), .best(2, of: "eval/loss", .lowest), .every(steps: 7), .within(.seconds(5)),
      .last(1) + .best(1, of: "a", .lowest) + .best(3, of: "a", .highest) + .every(steps: 2)
        + .every(steps: 3) + .within(.milliseconds(1)),
    ]
    for policy in policies {
      var metadata = Metadata()
      policy.record(in: &metadata)
      #expect(RetentionPolicy(recordedIn: metadata) == policy)
    }
    var metadata = Metadata()
    (RetentionPolicy.last(2) + .last(5) + .within(.seconds(1)) + .within(.seconds(9)))
      .record(in: &metadata)
    let both = RetentionPolicy.within(.seconds(1)) + .within(.seconds(9))
    #expect(RetentionPolicy(recordedIn: metadata) == .last(5) + both)
    for (name, value) in [
      ("retention_last", MetadataValue.int64(0)), ("retention_best_lowest", .int64(1)),
      ("retention_best_worst/loss", .int64(1)), ("retention_every_steps/0", .bool(true)),
      ("retention_within_nanoseconds/-1", .bool(true)), ("retention_within_nanoseconds", .int64(1)),
    ] {
      var metadata = Metadata()
      metadata[.environment, name] = value
      #expect(RetentionPolicy(recordedIn: metadata).keepsAll)
    }
  }
}
