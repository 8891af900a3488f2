import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt shows what is in a store and which checkpoint came from which, and pins.
@Suite("ckpt")
struct ListToolTests {
  private func ckpt(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt")] + arguments)
  }

  /// What stands in the columns of tree, step and generation, and whatever follows the size.
  private func rows(_ result: ToolResult) -> [String] {
    result.lines.map { line in
      let size = line.range(of: #"[0-9]+ (B|KiB|MiB)"#, options: .regularExpression)
      let time = line.range(
        of: #" +[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}"#, options: .regularExpression)
      guard let size, let time else { return line }
      let rest = line[size.upperBound...].trimmingCharacters(in: .whitespaces)
      return line[..<time.lowerBound] + (rest.isEmpty ? "" : "  " + rest)
    }
  }

  /// Lends a store that goes on from a step.
  private func resumed(
    _ path: String, at step: UInt64, _ body: (CheckpointStore) throws -> Void
  ) throws {
    // A child of another test, between fork and exec, shares the lock of the process before for a moment.
    let store = try CheckpointStore(
      path, for: .writing, options: StoreOptions(threads: 1, lockTimeout: 30))
    let recovery = try #require(try store.recover(.step(step)))
    store.continueRun(from: recovery.reader, choice: .deliberate)
    try body(store)
  }

  private func save(
    _ step: UInt64, as role: StoreEntry.Role = .candidate, loss: Double? = nil,
    unhealthy: String? = nil, to store: CheckpointStore
  ) throws {
    var plan = SavePlan()
    if let loss { plan.metadata[.metric, "loss"] = .float64(loss) }
    plan.metadata.markUnhealthy(unhealthy)
    _ = try store.save(plan, step: step, as: role) { _ in }
  }

  @Test func theTreeAndWhatIsSpecialIsShown() throws {
    try StoreFixture.with(3) { fixture in
      let path = fixture.directory
      try resumed(path, at: 100) { store in
        try save(150, loss: 2.34567, to: store)
        try save(160, loss: .nan, unhealthy: "the metric 'loss' is nan", to: store)
        try save(170, as: .emergency, to: store)
      }
      try FileManager.default.moveItem(
        atPath: fixture.paths[2], toPath: fixture.paths[2] + ".damaged")
      try Data([1, 2, 3]).write(to: URL(filePath: path + "/step-7.ckpt"))
      #expect(try ckpt("pin", fixture.paths[1]).status == 0)
      let result = try ckpt("ls", path)
      #expect(result.status == 0 && result.error.isEmpty)
      #expect(
        rows(result) == [
          "    170  g6  left by a run that failed",
          " *  160  g5  loss nan, unhealthy: the metric 'loss' is nan",
          " *  150  g4  loss 2.346, from step 100", " |  300  g3  set aside as damaged",
          "o|  200  g2  pinned", "*   100  g1",
          "      7   -                    -        3 B  corrupted",
        ])
    }
  }

  @Test func anIndexThatIsDamagedIsTold() throws {
    try StoreFixture.with(2) { fixture in
      let url = URL(filePath: fixture.paths[1])
      var bytes = try Data(contentsOf: url)
      bytes.replaceSubrange(bytes.count - 4096..<bytes.count - 3000, with: Data(count: 1096))
      try bytes.write(to: url)
      #expect(rows(try ckpt("ls", fixture.directory)).first == "   200  g2  corrupted")
    }
  }

  @Test func pinsAreSetAndRemoved() throws {
    try StoreFixture.with(2) { fixture in
      let oldest = fixture.paths[0]
      #expect(try ckpt("pin", oldest, oldest).status == 0)
      let store = try CheckpointStore(fixture.directory, for: .reading)
      #expect(try store.entries().map(\.isPinned) == [false, true])
      #expect(try ckpt("unpin", oldest).status == 0)
      #expect(try store.entries().allSatisfy { !$0.isPinned })
      let missing = try ckpt("pin", fixture.directory + "/step-1.ckpt")
      #expect(missing.status == 2 && missing.error.contains("is no checkpoint of a store"))
    }
  }

  @Test func eachLineOfJSONTellsOneCheckpoint() throws {
    try StoreFixture.with(2) { fixture in
      let lines = try ckpt("ls", "--json", fixture.directory).lines
      let objects = try lines.map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(objects.compactMap { $0["generation"] as? Int } == [2, 1])
      let parent = objects[0]["parent_identifier"] as? String
      #expect(parent != nil && parent == objects[1]["checkpoint_identifier"] as? String)
      #expect(objects[1]["parent_identifier"] is NSNull)
      #expect(objects.compactMap { $0["leads_to_newest"] as? Bool } == [true, true])
      #expect(objects.compactMap { $0["role"] as? String } == ["candidate", "candidate"])
    }
  }

  @Test func eachCommandHasHelpThatFitsATerminal() throws {
    let overview = try ckpt("--help").output
    for name in ["ls", "pin", "unpin", "show", "diff", "cat", "prune"] {
      #expect(overview.contains("\n  \(name) "), "\(name)")
      let help = try ckpt(name, "--help")
      #expect(help.status == 0 && help.output.contains("usage: ckpt \(name) "))
      #expect(try ckpt("help", name).output == help.output)
      #expect((overview + help.output).split(separator: "\n").allSatisfy { $0.count <= 80 })
      let wrong = try ckpt(name, "--nonsense")
      #expect(wrong.status == 64 && wrong.error.contains("Run 'ckpt \(name) --help'"))
    }
    #expect(try ckpt("ls", "--version").output == ckpt("--version").output)
  }

  @Test func manyBranchesAreCounted() throws {
    try StoreFixture.with(1) { fixture in
      for step in UInt64(101)...120 {
        try resumed(fixture.directory, at: 100) { try save(step, to: $0) }
      }
      let result = rows(try ckpt("ls", fixture.directory))
      #expect(result.first == "19*  120  g21  from step 100")
      #expect(result.last == "0*   100   g1")
    }
  }

  @Test func emptyAndMissingDirectoriesAndBadLinesAreTold() throws {
    try withTemporaryDirectory { directory in
      let empty = try ckpt("ls", directory)
      #expect(
        empty.status == 0 && empty.output.isEmpty && empty.error.contains("holds no checkpoint"))
      let missing = try ckpt("ls", directory + "/nowhere")
      #expect(missing.status == 2 && missing.error.contains("Check the path"))
    }
    for arguments in [[], ["ls"], ["ls", "a", "b"], ["pin"], ["list"], ["ls", "--jsn", "."]] {
      let result = try ToolProcess.run([try ToolProcess.path(of: "ckpt")] + arguments)
      #expect(result.status == 64, "\(arguments): \(result.error)")
    }
    #expect(try ckpt("pins").error.contains("Did you mean 'pin'?"))
    #expect(try ckpt("--json", "ls", ".").error.contains("The command comes first: 'ls'."))
  }
}
