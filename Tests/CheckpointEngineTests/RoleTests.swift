import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: what was set aside, what a run that failed has left and what is marked unhealthy is never taken
// for more than it is, and nothing of it gets lost.
@Suite struct RoleTests {
  private let disk = SimulatedDisk()

  private func save(
    _ step: UInt64, as role: StoreEntry.Role = .candidate, unhealthy reason: String? = nil,
    loss: Double? = nil, to store: CheckpointStore
  ) throws {
    let state = SampleState(step)
    var plan = try state.plan()
    plan.metadata.markUnhealthy(reason)
    if let loss { plan.metadata[.metric, "loss"] = .float64(loss) }
    _ = try store.save(plan, step: step, as: role) { sink in
      for tensor in state.tensors { try sink.append(tensor.bytes.rawSpan) }
    }
  }

  private func resumed(_ selection: CheckpointSelection = .latest) throws -> CheckpointStore {
    let store = try disk.writer()
    let recovery = try #require(try store.recover(selection))
    store.continueRun(from: recovery.reader, choice: .automatic)
    return store
  }

  // MARK: Setting aside

  @Test func aDamagedFileIsSetAsideWhereItIs() throws {
    try disk.saveRun(1, 2)
    try disk.damage(checkpointName(2, 2))
    let bytes = try disk.contents(checkpointName(2, 2))
    let store = try resumed()
    let entry = try #require(try store.entries().first)
    let path = try store.setAside(entry)
    #expect(path == "/run/" + checkpointName(2, 2) + ".damaged")
    #expect(try disk.contents(checkpointName(2, 2) + ".damaged") == bytes)
    #expect(try store.recover()?.skipped.isEmpty == true)
    #expect(try store.entries().map(\.role) == [.damaged, .candidate])
    // Its generation is spent, and a second time changes nothing.
    try save(3, to: store)
    #expect(try store.entries().first?.generation == 3)
    let aside = try #require(try store.entries().first { $0.role == .damaged })
    #expect(try store.setAside(aside) == path)
  }

  @Test func onlyAWriterSetsAside() throws {
    try disk.saveRun(1)
    let store = try disk.reader()
    let entry = try #require(try store.entries().first)
    #expect(errorCode { _ = try store.setAside(entry) } == .io)
  }

  @Test func whatIsHeldReplacedOrTakenStaysWhereItIs() throws {
    try disk.saveRun(1, 2)
    let store = try resumed()
    let entries = try store.entries()
    let reader = try disk.reader().open(entries[1])
    #expect(errorCode { _ = try store.setAside(entries[1]) } == .busy)
    try withExtendedLifetime(reader) {
      try disk.put(checkpointName(2, 2) + ".damaged", [1])
      #expect(errorCode { _ = try store.setAside(entries[0]) } == .alreadyExists)
    }
    try disk.remove(checkpointName(2, 2))
    #expect(errorCode { _ = try store.setAside(entries[0]) } == .notFound)
  }

  @Test func aFileSystemThatCannotRenameExclusivelyLinks() throws {
    try disk.saveRun(1, 2)
    let store = try resumed()
    disk.faultPlan = FaultPlan([.init(.rename, .error(EINVAL))])
    _ = try store.setAside(try store.entries()[0])
    #expect(try store.entries().map(\.role) == [.damaged, .candidate])
  }

  // MARK: Emergencies

  @Test func anEmergencyIsNeitherTakenNorRemoved() throws {
    try disk.saveRun(1)
    do {
      let store = try resumed()
      try save(2, as: .emergency, to: store)
      try save(3, to: store)
      let recovery = try #require(try store.recover())
      #expect(recovery.reader.header.generation == 3 && recovery.skipped.isEmpty)
      // The next save does not descend from it.
      let first = try #require(try store.entries().last?.header?.checkpointIdentifier)
      #expect(recovery.reader.header.parentIdentifier == first)
      _ = store.retain(.last(1))
    }
    let store = try resumed()
    #expect(try store.entries().map(\.role) == [.candidate, .emergency])
    #expect(errorCode { _ = try store.recover(.step(2)) } == .notFound)
    let reader = try store.open(try store.entries()[1])
    try reader.requireHolds(SampleState(2))
    let verifier = Verifier(on: disk.device, threads: 1)
    #expect(try verifier.files(at: "/run").count == 2)
    #expect(verifier.verify(reader.path).isIntact)
  }

  @Test func whereNothingButAnEmergencyIsARunBeginsAfreshBesideIt() throws {
    do {
      let store = try disk.writer()
      store.beginFreshRun()
      try save(2, as: .emergency, to: store)
    }
    let store = try disk.writer()
    #expect(try store.recover() == nil)
    #expect(try store.recover(.best(metric: "loss", .lowest)) == nil)
    try save(1, to: store)
    #expect(try store.recover()?.reader.header.generation == 2)
    _ = store.retain(.last(1))
    #expect(try store.entries().map(\.role) == [.candidate, .emergency])
  }

  @Test func whereNothingIsIntactEachFileIsTold() throws {
    do {
      let store = try disk.writer()
      store.beginFreshRun()
      try save(1, to: store)
      try save(2, as: .emergency, to: store)
    }
    disk.replace(checkpointName(1, 1), with: [1])
    let store = try disk.reader()
    for selection in [CheckpointSelection.latest, .latestHealthy] {
      let error = try #require(error { _ = try store.recover(selection) })
      #expect(error.code == .noIntactCheckpoint && error.message.contains("a run that failed"))
      #expect(error.message.contains("Move the files away"))
    }
    let entry = try #require(try store.entries().first { $0.role == .emergency })
    #expect(try store.open(entry).metadata.emergencyReason == nil)
  }

  // MARK: Health

  @Test func theLatestHealthyOneIsTakenAndStays() throws {
    do {
      let store = try disk.writer()
      try save(1, loss: 3, to: store)
      try save(2, loss: 2, to: store)
      try save(3, unhealthy: "NaN in 'weight'", loss: 1, to: store)
      try save(4, unhealthy: "NaN in 'weight'", to: store)
      let report = store.retain(.last(1))
      #expect(report.removed.count == 2)
      #expect(try store.entries().map(\.step) == [4, 2])
      let plan = try store.retentionPlan(.last(1))
      #expect(plan.map(\.reasons) == [[.newest, .rule(.last(1))], [.newestHealthy]])
    }
    let store = try resumed(.latestHealthy)
    let recovery = try #require(try store.recover(.latestHealthy))
    #expect(recovery.reader.header.step == 2)
    #expect(recovery.skipped.map(\.reason.code) == [.unhealthy])
    #expect(recovery.skipped.first?.reason.message.contains("NaN in 'weight'") == true)
    #expect(try store.recover()?.reader.header.step == 4)
  }

  @Test func whatARunWasTakenBackFromIsNotGoneBackTo() throws {
    do {
      let store = try disk.writer()
      for step in UInt64(1)...5 { try save(step, to: store) }
    }
    do {
      // A person goes back to 2, and then things go wrong.
      let store = try disk.writer()
      store.continueRun(
        from: try #require(try store.recover(.generation(2))).reader, choice: .deliberate)
      for step in UInt64(6)...8 {
        try save(step, unhealthy: "NaN", to: store)
        _ = store.retain(.last(2))
      }
      #expect(try store.entries().compactMap(\.generation) == [8, 7, 2])
    }
    try disk.put(checkpointName(5, 5), [])
    let recovery = try #require(try disk.reader().recover(.latestHealthy))
    #expect(recovery.reader.header.generation == 2)
  }

  @Test func whatWasLeftBehindIsPassedOverWithAReason() throws {
    do {
      let store = try disk.writer()
      for step in UInt64(1)...3 { try save(step, to: store) }
    }
    let store = try resumed(.generation(1))
    try save(4, unhealthy: "spike", to: store)
    let recovery = try #require(try disk.reader().recover(.latestHealthy))
    #expect(recovery.reader.header.generation == 1)
    #expect(recovery.skipped.map(\.reason.code) == [.unhealthy, .unhealthy, .unhealthy])
    #expect(recovery.skipped.dropFirst().first?.reason.message.contains("left behind") == true)
  }

  @Test func whatCouldNotBeRankedIsNotTheBest() throws {
    do {
      let store = try disk.writer()
      for (step, loss) in [(1, 9.0), (2, 1), (3, 5)] {
        try save(UInt64(step), loss: loss, to: store)
      }
    }
    let best = CheckpointSelection.best(metric: "loss", .lowest)
    var successCount = 0
    for occurrence in 0..<20 {
      let disk = disk.copy()
      let store = try disk.reader()
      disk.faultPlan = FaultPlan([.init(.open, occurrence: occurrence, .error(EMFILE))])
      guard let recovery = try? store.recover(best) else { continue }
      successCount += 1
      #expect(recovery.reader.header.step == 2, "open \(occurrence)")
    }
    #expect(successCount > 10)
  }

  @Test func whatARunThatFailedHasLeftDoesNotSayWhoseStoreThisIs() throws {
    // A run that was taken back from generations 3 to 5, in another store.
    let other = try CheckpointStore("/other", for: .writing, options: options(on: disk))
    for step in UInt64(1)...5 { try save(step, to: other) }
    other.continueRun(
      from: try #require(try other.recover(.generation(2))).reader, choice: .deliberate)
    try save(6, to: other)
    let base = try #require(try other.recover()).reader
    do {
      let store = try disk.writer()
      store.continueRun(from: base, choice: .deliberate)
      try save(7, as: .emergency, to: store)
    }
    let store = try disk.writer()
    store.continueRun(from: base, choice: .deliberate)
    for step in UInt64(8)...12 { try save(step, loss: step == 10 ? 0 : 1, to: store) }
    _ = store.retain(.best(1, of: "loss", .lowest))
    #expect(try store.entries().map(\.step) == [12, 10, 7])
  }

  @Test func anUnhealthyOneIsNotTheBest() throws {
    let store = try disk.writer()
    try save(1, loss: 3, to: store)
    try save(2, loss: 2, to: store)
    try save(3, unhealthy: "spike", loss: 1, to: store)
    try save(4, loss: 5, to: store)
    let best = CheckpointSelection.best(metric: "loss", .lowest)
    #expect(try store.recover(best)?.reader.header.step == 2)
    _ = store.retain(.best(1, of: "loss", .lowest))
    #expect(try store.entries().map(\.step) == [4, 2])
  }

  @Test func whereNoneIsHealthyTheErrorSaysWhy() throws {
    let store = try disk.writer()
    try save(1, unhealthy: "NaN", to: store)
    let error = try #require(error { _ = try store.recover(.latestHealthy) })
    #expect(error.code == .noIntactCheckpoint)
    #expect(error.message.contains("intact and healthy") && error.message.contains("NaN"))
  }

  private func error(_ body: () throws -> Void) -> CheckpointError? {
    do {
      try body()
      return nil
    } catch {
      return error as? CheckpointError
    }
  }
}
