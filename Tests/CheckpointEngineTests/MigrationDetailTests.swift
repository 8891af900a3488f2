import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: what a migration says of itself is so: what plans are the same, what casts did, what is tied, what
// is left behind by one that was killed, and which files are one checkpoint.
@Suite struct MigrationDetailTests {
  private let disk = SimulatedDisk()

  private func saved(_ state: SampleState, step: UInt64 = 1) throws -> CheckpointReader {
    let receipt = try disk.writer().save(state, step: step)
    return try CheckpointReader.open(path: receipt.path, on: disk.device, threads: 1)
  }

  private func migrate(
    _ state: SampleState, _ steps: StateStep...
  ) throws -> (reader: CheckpointReader, casts: [CastReport]) {
    let migration = try CheckpointMigration(
      of: saved(state), by: MigrationPlan(steps), options: options(on: disk))
    let result = try migration.write(to: "/run/made.ckpt")
    let reader = try CheckpointReader.open(path: result.path, on: disk.device, threads: 1)
    return (reader, result.casts)
  }

  private func bytes(_ values: some Sequence<UInt64>, _ width: Int) -> [UInt8] {
    values.flatMap { value in (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
  }

  // MARK: Plans

  @Test func plansAreToldApartByEveryArgument() {
    let steps: [[StateStep]] = [
      [], [.rename("a", to: "b")], [.rename("a to b", to: "c")], [.rename("a", to: "b to c")],
      [.drop("a")], [.drop(.matching("a"))], [.add("v", value: .int64(1))],
      [.add("v", value: .int64(2))], [.add("v", value: .uint64(1))],
      [.add("t", dtype: .uint8, shape: [2])],
      [.add("t", dtype: .uint8, shape: [2], filledWith: [1])],
      [.split("a", into: ["b", "c"])], [.split("a", into: ["b", "c"], sizes: [1, 2])],
      [.split("a", into: ["b", "c"], axis: 1)], [.split("a", into: ["b, c"])],
      [.merge(["b", "c"], into: "a")], [.merge(["c", "b"], into: "a")],
      [.cast("a", to: .float16)], [.cast(.matching("a"), to: .float16)],
      [.drop("a"), .drop("b")], [.drop("b"), .drop("a")],
    ]
    let plans = steps.map { MigrationPlan(to: .v2, $0) } + [MigrationPlan(to: .v1)]
    #expect(Set(plans.map(\.fingerprint)).count == plans.count)
    let source = Identifier(high: 1, low: 2)
    let identifiers = plans.flatMap { plan in
      ["one", "two"].map { plan.saveIdentifier(after: source, by: $0) }
    }
    #expect(Set(identifiers).count == 2 * plans.count)
    #expect(plans[1].saveIdentifier(after: source, by: "one") == identifiers[2])
  }

  /// Functions cannot be told apart, so the file that one has made has an identifier of its own.
  @Test func stepsWithFunctionsHaveAnIdentifierOfTheirOwn() throws {
    let source = try saved(SampleState(1))
    let identifiers = try (0..<2).map { _ in
      let plan = MigrationPlan([.makeValue("v") { _ in .bool(true) }])
      #expect(!plan.isTellable)
      return try CheckpointMigration(of: source, by: plan, options: options(on: disk))
        .header.saveIdentifier
    }
    #expect(identifiers[0] != identifiers[1])
  }

  @Test func whatOnlyTheOldFileKnewIsALoss() throws {
    var state = SampleState()
    state.add("a", .uint8, [2, 2], [1, 2, 3, 4])
    state.add("b", .uint8, [1, 2], [5, 6])
    state.add("c", .uint8, [2, 2], [1, 2, 3, 4])
    let reader = try saved(state)
    func losses(_ step: StateStep) throws -> Int {
      try CheckpointMigration(of: reader, by: MigrationPlan([step]), options: options(on: disk))
        .losses.count
    }
    #expect(try losses(.merge(["a", "b"], into: "d")) == 1)
    #expect(try losses(.merge(["a", "c"], into: "d")) == 0)
    #expect(try losses(.reshape("a", to: [4])) == 1)
    #expect(try losses(.split("a", into: ["x", "y"])) == 0)
  }

  @Test func ofALongPlanTheBeginningIsRecorded() throws {
    let names = (0..<5000).map { "a-name-of-some-length-\($0)" }
    var state = SampleState()
    state.add("x", .uint8, [5000], [UInt8](repeating: 7, count: 5000))
    let (reader, _) = try migrate(
      state, .rename("x", to: "y"), .split("y", into: names), .rename(names[0], to: "z"))
    let record = try #require(reader.metadata.migrations.last)
    #expect(record.steps == "format version 2\nrename x to y\nand 2 more steps")
    #expect(reader.tensorCount == 5000)
  }

  // MARK: Ties

  @Test func namesThatAStepTiesShareTheirBytes() throws {
    var state = SampleState()
    state.add("w", .uint8, [4], [1, 2, 3, 4])
    state.add("x", .uint8, [4], [1, 2, 3, 4])
    let (reader, _) = try migrate(
      state, .split("w", into: ["a", "b"]), .alias("a2", of: "a"),
      .add("zeros", dtype: .uint8, shape: [2]), .alias("none", of: "zeros"),
      .split("x", into: ["p", "q"]), .rename("a2", to: "second"))
    let entries = reader.index.tensors.entries
    let tied = Set(entries.filter { $0.aliasOf != nil }.map(\.name))
    #expect(tied.count == 2)
    #expect(tied.intersection(["a", "second"]).count == 1)
    #expect(tied.intersection(["zeros", "none"]).count == 1)
    // Equal bytes alone tie nothing.
    #expect(tied.isDisjoint(with: ["p", "q", "b"]))
    #expect(try reader.read("second") == [1, 2] && reader.read("p") == [1, 2])
  }

  // MARK: Reports of casts

  @Test func eachElementIsReportedOnceForEachCast() throws {
    var state = SampleState()
    let values: [Float] = [0.1, 1, 2, 0.3, 4, 5]
    state.add("w", .float32, [2, 3], bytes(values.map { UInt64($0.bitPattern) }, 4))
    let (reader, casts) = try migrate(
      state, .cast("w", to: .bfloat16), .split("w", into: ["a", "b", "c"], axis: 1),
      .cast("c", to: .float64))
    #expect(casts.filter { $0.target == .bfloat16 }.map(\.elementCount).reduce(0, +) == 6)
    #expect(casts.filter { $0.target == .bfloat16 }.map(\.roundedCount).reduce(0, +) == 2)
    #expect(casts.filter { $0.target == .float64 }.map(\.elementCount) == [2])
    #expect(reader.descriptor(of: "c")?.dtype == .float64)
  }

  @Test func integersThatADoubleCannotHoldAreRounded() throws {
    var state = SampleState()
    let large: UInt64 = 1 << 53 + 1
    state.add("n", .int64, [3], bytes([large, 1 << 53, large &* .max], 8))
    state.add("u", .uint64, [2], bytes([.max, 1 << 63], 8))
    let (_, casts) = try migrate(
      state, .cast("n", to: .float64), .cast("u", to: .float32))
    #expect(casts.map(\.roundedCount) == [2, 1])
  }

  // MARK: What was left, and what is one checkpoint

  @Test func whatAKilledMigrationLeftGoesAndWhatIsHeldStays() throws {
    let reader = try saved(SampleState(1))
    try disk.put(".step-000000001.g000001.\(String(repeating: "a", count: 32)).tmp", [1])
    let held = ".step-000000001.g000001.\(String(repeating: "b", count: 32)).tmp"
    try disk.put(held, [1])
    let backend = disk.device.backend
    let directory = try backend.openDirectory(SimulatedDisk.storePath)
    let file = try backend.open(held, in: directory, for: .reading)
    #expect(try backend.lock(file, .shared))
    let migration = try CheckpointMigration(
      of: reader, by: MigrationPlan(), options: options(on: disk))
    _ = try migration.write(to: "/run/made.ckpt")
    #expect(disk.temporaryNames == [held])
    try backend.close(file)
    try backend.close(directory)
  }

  /// While it waits for its name, the new file is locked against whoever sweeps.
  @Test func aFileThatIsBeingComparedIsNotSweptUp() throws {
    let reader = try saved(SampleState(1))
    let migration = try CheckpointMigration(
      of: reader, by: MigrationPlan(), options: options(on: disk))
    var survived = 0
    let names = { [disk] in disk.temporaryNames }
    _ = try migration.write(to: "/run/made.ckpt") { done, total in
      guard done > total / 2 else { return }
      // Another program opens the directory for writing.
      _ = try? CheckpointStore(
        SimulatedDisk.storePath, for: .writing, options: options(on: self.disk))
      survived += names().count
    }
    #expect(survived > 0)
  }

  /// Copies with a history that lost something, one of them migrated without loss since.
  @Test func copiesWithACommonHistoryStayOneCheckpoint() throws {
    let store = try disk.writer()
    try store.save(SampleState(1), step: 1)
    _ = try store.migrate(MigrationPlan([.drop("step")]), keepingOriginalsIn: "/kept")
    let name = checkpointName(1, 1)
    try disk.put("step-1.ckpt", disk.contents(name))
    let entry = try #require(try store.entries().first { $0.name == name })
    let migration = try CheckpointMigration(
      of: store.open(entry), by: MigrationPlan(to: .v1), options: options(on: disk))
    _ = try migration.write(to: "/kept/other.ckpt")
    disk.replace(name, with: try #require(disk.contents(ofFileAt: "/kept/other.ckpt")))
    #expect(try disk.reader().recover()?.reader.header.generation == 1)
    // The original of the lossy migration is another matter.
    disk.replace(name, with: try #require(disk.contents(ofFileAt: "/kept/" + name)))
    #expect(errorCode { _ = try disk.reader().recover() } == .ambiguous)
  }

  @Test func aPatternMustMatchSomethingAndVersionsGoWithTheirScopes() throws {
    var state = SampleState(1)
    state.add("optimizer/m", .uint8, [1], [1])
    state.metadata[.stateVersion, "optimizer"] = .int64(3)
    state.metadata[.stateVersion, ""] = .int64(1)
    let code = errorCode { _ = try migrate(state, .require(.matching("optimzer/**"))) }
    #expect(code == .incompatibleState)
    let source = try saved(state, step: 2)
    let migration = try CheckpointMigration(
      of: source, by: MigrationPlan([.drop(.matching("optimizer/**"))]), options: options(on: disk))
    let result = try migration.write(to: "/run/dropped.ckpt")
    let reader = try CheckpointReader.open(path: result.path, on: disk.device, threads: 1)
    #expect(reader.metadata.entries(of: .stateVersion).map(\.name) == [""])
  }
}
