import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: what a migration makes of a checkpoint is that checkpoint, but for what its steps say; what it
// would lose without saying so is refused; and the source stays as it is.
@Suite struct MigrationTests {
  private let disk = SimulatedDisk()

  /// Puts a file into a directory and opens it.
  private func put(_ bytes: [UInt8], _ name: String = "a.ckpt") throws -> CheckpointReader {
    _ = try StoreDirectory.openCreating("/in", permissions: .private, on: disk.device)
    let backend = disk.device.backend
    let directory = try backend.openDirectory("/in")
    defer { try? backend.close(directory) }
    let file = try backend.open(name, in: directory, for: .creating(permissions: 0o640))
    try backend.writeAll(file, bytes.rawSpan, at: 0)
    try backend.close(file)
    return try CheckpointReader.open(path: "/in/" + name, on: disk.device, threads: 1)
  }

  private func migrate(
    _ reader: CheckpointReader, _ plan: MigrationPlan, to name: String = "b.ckpt"
  ) throws -> (CheckpointReader, MigrationResult) {
    let migration = try CheckpointMigration(of: reader, by: plan, options: options(on: disk))
    let result = try migration.write(to: "/in/" + name)
    #expect(result.byteCount <= migration.byteCountMax)
    let made = try CheckpointReader.open(path: "/in/" + name, on: disk.device, threads: 1)
    #expect(made.verify(.full).findings.isEmpty)
    return (made, result)
  }

  /// Everything of a state that is restored or told, tensor by tensor; not which file it is in.
  private func contents(_ reader: CheckpointReader) throws -> [String] {
    var lines = try reader.index.tensors.entries.map { entry in
      let bytes = try reader.read(entry.name)
      return "\(Array(entry.name.utf8)) \(entry.descriptor) \(entry.aliasOf ?? -1) \(bytes)"
    }
    for domain in Metadata.Domain.allCases {
      for (name, value) in reader.metadata.entries(of: domain) where !name.hasPrefix("migration/") {
        lines.append("\(domain) \(Array(name.utf8)) \(value.encoded)")
      }
    }
    var header = reader.header
    header.formatVersion = .current
    header.saveIdentifier = .zero
    header.writer = ""
    return lines + ["\(header)"]
  }

  private static let fixtures: [String] = [1, 2].flatMap { version in
    ["chunks", "dtypes", "empty", "equivalent-names", "lineage", "names", "smallest", "values"]
      .map { "v\(version)/\($0).ckpt" }
  }

  @Test func reportsOfCastsAreToldTogether() throws {
    var state = SampleState()
    state.add("a", .float64, [2], [1.0, 5.0].flatMap { littleEndian($0.bitPattern) })
    state.add("b", .float64, [3], [-2.0, 0.1, 3.0].flatMap { littleEndian($0.bitPattern) })
    try disk.writer().save(state, step: 1)
    let source = try put(disk.contents(checkpointName(1, 1)))
    let plan = MigrationPlan([.cast("a", to: .float32), .cast("b", to: .float32)])
    let migration = try CheckpointMigration(of: source, by: plan, options: options(on: disk))
    #expect(migration.stateByteCount == 20)
    let casts = try migration.write(to: "/in/c.ckpt").casts
    try #require(casts.map(\.name) == ["a", "b"])
    for (one, other) in [(casts[0], casts[1]), (casts[1], casts[0])] {
      let both = one.joined(with: other)
      #expect(both.name == one.name && both.elementCount == 5 && both.roundedCount == 1)
      #expect(both.range == -2.0...5.0)
      #expect(both.errorMax == casts[1].errorMax && both.errorMax > 0)
    }
  }

  @Test func namesThatOnlyLookTheSameStayTwoBesideAStep() throws {
    let bytes = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/v2/equivalent-names.ckpt"))
    let source = try put(bytes)
    let (made, _) = try migrate(source, MigrationPlan([.add("new value", value: .bool(true))]))
    #expect(made.tensors == source.tensors)
    #expect(made.metadata[.state, "new value"] == .bool(true))
  }

  @Test(arguments: fixtures) func everyFixtureGoesToTheOtherVersionAndBack(name: String) throws {
    let bytes = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/" + name))
    let source = try put(bytes)
    let version = source.header.formatVersion
    let other: FormatVersion = version == .v1 ? .v2 : .v1
    let before = try contents(source)
    let (there, _) = try migrate(source, MigrationPlan(to: other))
    #expect(there.header.formatVersion == other)
    #expect(try contents(there) == before)
    let (back, _) = try migrate(there, MigrationPlan(to: version), to: "c.ckpt")
    #expect(back.header.formatVersion == version)
    #expect(try contents(back) == before)
    #expect(Set([source, there, back].map(\.header.saveIdentifier)).count == 3)
    // What was done is told, and from which files.
    let records = back.metadata.migrations
    #expect(
      records.map(\.saveIdentifier) == [source.header.saveIdentifier, there.header.saveIdentifier])
    #expect(records.map(\.formatVersion) == [version, other].map { UInt64($0.rawValue) })
    #expect(records.map(\.writer) == [source.header.writer, "CheckpointEngineTests"])
    #expect(disk.contents(ofFileAt: "/in/a.ckpt") == bytes)
    #expect(disk.names(inDirectoryAt: "/in")?.sorted() == ["a.ckpt", "b.ckpt", "c.ckpt"])
  }

  /// A state with tied tensors, in two scopes, with values.
  private func sample() throws -> CheckpointReader {
    var state = SampleState(7)
    state.add("model/a", .float32, [2, 4], floats([1, -2, 0.1, 1e30, .nan, -0.0, .infinity, 3]))
    state.alias("model/tied", of: "model/a")
    state.add("model/b", .int16, [3], [1, 0, 2, 0, 255, 255])
    state.add("other/empty", .float64, [0, 5], [])
    state.metadata[.state, "model/n"] = .int64(7)
    state.metadata[.stateVersion, "model"] = .int64(1)
    state.metadata[.metric, "loss"] = .float64(2.5)
    let receipt = try disk.writer(formatVersion: .v1).save(state, step: 1)
    return try put(disk.contents(StoreDirectory.split(receipt.path).name))
  }

  private func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
    }
  }

  @Test func stepsAreDoneInOrderAndTiedTensorsStayTied() throws {
    let (made, result) = try migrate(
      sample(),
      MigrationPlan([
        .rename("model", to: "net"), .split("net/b", into: ["b0", "b1"], sizes: [1, 2]),
        .cast("net/a", to: .float64), .cast("net/tied", to: .float64), .drop("weight"),
        .add("new", dtype: .bfloat16, shape: [2]), .rename("net/n", to: "count"),
        .merge(["b1", "b0"], into: "b"), .reshape("net/a", to: [8]),
      ]))
    #expect(made.tensors.map(\.name) == ["step", "net/a", "net/tied", "other/empty", "b", "new"])
    #expect(made.tensors.map(\.shape) == [[], [8], [2, 4], [0, 5], [3], [2]])
    #expect(try made.read("b") == [2, 0, 255, 255, 1, 0])
    #expect(try made.read("new") == [0, 0, 0, 0])
    let doubles = try made.read("net/a")
    #expect(doubles == (try made.read("net/tied")))
    #expect(Array(doubles[8..<16]) == [0, 0, 0, 0, 0, 0, 0, 0xC0])
    #expect(made.metadata[.state, "count"] == .int64(7))
    #expect(made.metadata[.stateVersion, "net"] == .int64(1))
    #expect(made.metadata[.metric, "loss"] == .float64(2.5))
    #expect(result.casts.map(\.name) == ["net/a", "net/tied"])
    #expect(result.casts.allSatisfy { $0.roundedCount == 0 && $0.nanCount == 1 })

    // Of two shapes they cannot share their bytes any more.
    #expect(made.index.tensors.entries.allSatisfy { $0.aliasOf == nil })
  }

  @Test func tiedTensorsThatAreTreatedAlikeStayTied() throws {
    let (made, _) = try migrate(
      sample(),
      MigrationPlan([
        .cast("model/a", to: .float64), .cast("model/tied", to: .float64),
        .rename("model/tied", to: "a-second"), .alias("third", of: "model/b"),
      ]))
    let entries = made.index.tensors.entries
    let numbers = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
    let owner = try #require(numbers["a-second"])
    #expect(
      entries[try #require(numbers["model/a"])].aliasOf == owner
        || entries[owner].aliasOf == numbers["model/a"])
    #expect(entries[try #require(numbers["third"])].aliasOf == numbers["model/b"])
  }

  @Test func castsSayWhatTheyDid() throws {
    let (made, result) = try migrate(
      sample(), MigrationPlan([.cast("model/a", to: .bfloat16), .cast("model/b", to: .float32)]))
    let report = try #require(result.casts.first { $0.name == "model/a" })
    #expect(report.elementCount == 8 && report.nanCount == 1 && report.vanishedCount == 0)
    #expect(report.range == -2...1.0000000150474662e30)
    #expect(report.roundedCount == 2 && report.errorMax > 1e26)
    #expect(made.descriptor(of: "model/a")?.dtype == .bfloat16)
    #expect(result.casts.last?.range == -1...2)
  }

  @Test func aValueThatDoesNotFitLeavesNothing() throws {
    let source = try sample()
    let error = #expect(throws: CheckpointError.self) {
      _ = try migrate(source, MigrationPlan([.cast("model/a", to: .float16)]))
    }
    #expect(error?.code == .incompatibleState)
    #expect(error?.message.contains("element 3") == true)
    #expect(disk.names(inDirectoryAt: "/in") == ["a.ckpt"])
  }

  @Test func whatWouldBeLostIsTold() throws {
    let source = try sample()
    func losses(_ steps: StateStep...) throws -> [String] {
      try CheckpointMigration(of: source, by: MigrationPlan(steps), options: options(on: disk))
        .losses
    }
    #expect(try losses().isEmpty)
    #expect(
      try losses(
        .rename("model/a", to: "x"), .cast("x", to: .float64),
        .alias("y", of: "x"), .add("z", value: .bool(true)), .split("weight", into: ["w0", "w1"])
      ).isEmpty)
    #expect(try losses(.reshape("model/a", to: [8])) == ["the shape of 'model/a'"])
    #expect(try losses(.drop("model/n")) == ["'model/n' is dropped"])
    #expect(try losses(.drop(.matching("model/*"))) == ["4 tensors and values are dropped"])
    #expect(try losses(.cast("model/a", to: .bfloat16)) == ["'model/a' is rounded to bfloat16"])
  }

  @Test func whatThisBuildDoesNotKnowIsNotRewritten() throws {
    for version in FormatVersion.allCases {
      var file = EditableFile(try ReferenceFile.bytes(version))
      file.store(1 << 40, 8, at: 24)
      file.reseal()
      let source = try put(file.bytes, "future\(version.rawValue).ckpt")
      let code = errorCode { _ = try migrate(source, MigrationPlan()) }
      #expect(code == .unsupported)
    }
  }

  @Test func nothingIsOverwrittenAndNoRivalIsMade() throws {
    let bytes = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/v1/smallest.ckpt"))
    let source = try put(bytes, checkpointName(500, 1))
    #expect(
      errorCode { _ = try migrate(source, MigrationPlan(), to: checkpointName(500, 1)) }
        == .alreadyExists)
    #expect(
      errorCode { _ = try migrate(source, MigrationPlan(), to: "step-500.ckpt") } == .ambiguous)
    _ = try migrate(source, MigrationPlan(), to: "copy.ckpt")
    #expect(
      errorCode { _ = try migrate(source, MigrationPlan(), to: "copy.ckpt") } == .alreadyExists)
    #expect(
      errorCode { _ = try migrate(source, MigrationPlan(), to: "nowhere/copy.ckpt") } == .notFound)
    #expect(disk.names(inDirectoryAt: "/in")?.count == 2)
  }

  @Test func namesThatOnlyLookDifferentAreKeptAndNotMade() throws {
    let name = "Tests/Fixtures/v1/equivalent-names.ckpt"
    let source = try put(bytes(ofFileAt: repositoryPath(name)))
    let names = source.tensors.map(\.name)
    let first = try #require(names.first)
    let (made, _) = try migrate(source, MigrationPlan([.rename(first, to: "plain")]))
    #expect(made.tensorCount == source.tensorCount)
    let other = try put(
      bytes(ofFileAt: repositoryPath("Tests/Fixtures/v1/smallest.ckpt")), "s.ckpt")
    let two = other.tensors.map(\.name)
    let code = errorCode {
      _ = try migrate(
        other, MigrationPlan([.rename(two[0], to: "\u{e9}"), .rename(two[1], to: "e\u{301}")]),
        to: "x.ckpt")
    }
    #expect(code == .incompatibleState)
    #expect(
      errorCode {
        _ = try migrate(other, MigrationPlan([.rename(two[0], to: "a\n")]), to: "x.ckpt")
      } == .invalidState)
  }

  @Test func damageOfTheSourceIsFoundAndNothingIsMade() throws {
    try disk.writer().save(SampleState(1), step: 1)
    let source = try put(disk.contents(checkpointName(1, 1)))
    var bytes = try #require(disk.contents(ofFileAt: "/in/a.ckpt"))
    bytes[Int(source.index.chunks.entries[1].storedOffset)] ^= 1
    #expect(disk.replaceContents(ofFileAt: "/in/a.ckpt", with: bytes))
    let damaged = try CheckpointReader.open(path: "/in/a.ckpt", on: disk.device, threads: 1)
    #expect(errorCode { _ = try migrate(damaged, MigrationPlan(to: .v1)) } == .corrupted)
    #expect(disk.names(inDirectoryAt: "/in") == ["a.ckpt"])
  }

  /// The comparison with the source sees what the new file's own checksums cannot.
  @Test func bytesOfAnotherStateAreNotTaken() throws {
    let store = try disk.writer()
    let one = try store.open(store.entry(of: store.save(SampleState(1), step: 1)))
    let two = try store.open(store.entry(of: store.save(SampleState(2), step: 2)))
    let numbers: [Int?] = [0, 1]
    let right = ChunkComparison(source: one, numbers: numbers)
    #expect(two.verify(.full, comparing: right, progress: nil).findings.count == 5)
    #expect(one.verify(.full, comparing: right, progress: nil).findings.isEmpty)
    let half = ChunkComparison(source: one, numbers: [nil, 1])
    #expect(two.verify(.full, comparing: half, progress: nil).findings.count == 1)
  }
}

extension CheckpointStore {
  fileprivate func entry(of receipt: SaveReceipt) throws -> StoreEntry {
    try #require(try entries().first { $0.path == receipt.path })
  }
}
