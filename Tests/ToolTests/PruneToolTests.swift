import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt prune removes what no rule keeps, says why the rest stays, and touches no store in use.
@Suite("ckpt prune")
struct PruneToolTests {
  private func prune(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt"), "prune"] + arguments)
  }

  private func names(_ directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory)
      .filter { $0.hasSuffix(".ckpt") }.sorted()
  }

  @Test func aDryRunTellsWhatARunThenDoes() throws {
    try StoreFixture.with(5) { fixture in
      let path = fixture.directory
      let all = try names(path)
      let plan = try prune(path, "--keep-last", "2", "--keep-every", "200", "--dry-run")
      #expect(plan.status == 0 && plan.error.isEmpty)
      #expect(try names(path) == all)
      let words = plan.lines.prefix(5).map { String($0.prefix { $0 != " " }) }
      #expect(words == ["keep", "keep", "remove", "keep", "remove"])
      #expect(plan.lines[0].contains("among the newest 2, the newest"))
      #expect(plan.lines[3].contains("first at or after a multiple of 200 steps"))
      #expect(plan.lines[4].hasSuffix("no rule keeps it"))
      #expect(plan.lines.last?.contains("5 checkpoints") == true)
      #expect(plan.lines.last?.contains("2 would go, which frees") == true)
      let done = try prune(path, "--keep_last=2", "--keep_every=200")
      #expect(done.status == 0 && done.lines.last?.contains("2 went, which freed") == true)
      #expect(try names(path) == [all[1], all[3], all[4]])
    }
  }

  @Test func aStoreInUseIsRefused() throws {
    try StoreFixture.with(4) { fixture in
      let store = try CheckpointStore(
        fixture.directory, for: .writing, options: StoreOptions(threads: 1, lockTimeout: 30))
      let result = try prune(fixture.directory, "--keep-last", "1")
      #expect(result.status == 2 && result.error.contains("is open for writing by process"))
      #expect(try names(fixture.directory).count == 4)
      // Looking is no harm.
      #expect(try prune(fixture.directory, "--keep-last", "1", "--dry-run").status == 0)
      withExtendedLifetime(store) {}
    }
  }

  @Test func whatAReaderHoldsStaysAndIsTold() throws {
    try StoreFixture.with(4) { fixture in
      let reader = try CheckpointReader.open(path: fixture.paths[0])
      let result = try prune(fixture.directory, "--keep-last", "1")
      #expect(result.status == 2 && result.error.contains("is held by a reader and stays"))
      #expect(result.lines.contains { $0.hasPrefix("stays") })
      #expect(try names(fixture.directory).count == 3)
      withExtendedLifetime(reader) {}
    }
  }

  @Test func theBudgetCountsAndNothingGoesThatIsNotKnownToBeSafe() throws {
    try StoreFixture.with(4) { fixture in
      let size = try FileManager.default.attributesOfItem(atPath: fixture.path)[.size] as? Int ?? 0
      let plan = try prune(fixture.directory, "--budget", "\(size * 3)", "--dry-run", "--json")
      let last = try #require(plan.lines.last)
      #expect(last.contains(#""removed":1"#) && last.contains(#""freed_bytes":\#(size)"#))
      #expect(plan.lines.first?.contains(#""fate":"kept""#) == true)
      try FileManager.default.removeItem(atPath: fixture.paths[2])
      let result = try prune(fixture.directory, "--keep-last", "1")
      #expect(
        result.status == 0 && result.error.contains("the checkpoint before the newest is gone"))
      #expect(try names(fixture.directory).count == 3)
    }
  }

  @Test func theBestOfAMetricStay() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/store"
      do {
        let store = try CheckpointStore(path, for: .writing, options: StoreOptions(threads: 1))
        for (step, loss) in [(1, 5), (2, 1), (3, 2), (4, 4), (5, 3)] as [(UInt64, Double)] {
          var plan = SavePlan()
          plan.metadata[.metric, "a:b"] = .float64(loss)
          _ = try store.save(plan, step: step) { _ in }
        }
      }
      let result = try prune(
        path, "--keep-best", "a:b:min:2", "--keep-best", "a:b:max", "--dry-run")
      let kept = result.lines.filter { $0.hasPrefix("keep") }
      #expect(kept.count == 5, "\(result.output)")
      let one = try prune(path, "--keep-best", "a:b:min", "--dry-run")
      #expect(one.lines.filter { $0.hasPrefix("keep") }.count == 3)
      #expect(one.lines[3].contains("among the 1 with the lowest a:b"))
    }
  }

  @Test func badLinesAndEmptyPlacesAreTold() throws {
    try withTemporaryDirectory { directory in
      let empty = try prune(directory, "--keep-last", "1")
      #expect(empty.status == 0 && empty.error.contains("holds no checkpoint"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
      #expect(try prune(directory + "/nowhere", "--keep-last", "1").status == 2)
      #expect(!FileManager.default.fileExists(atPath: directory + "/nowhere"))
      for arguments in [
        [], ["--keep-last", "0"], ["--keep-last", "x"], ["--keep-best", "loss"],
        ["--keep-best", "loss:up"], ["--keep-best", ":min"], ["--keep-best", "loss:min:0"],
        ["--keep-every", "0"], ["--keep-within", "-1"], ["--budget", "0"], ["--budget", "much"],
      ] {
        let tool = try ToolProcess.path(of: "ckpt")
        let result = try ToolProcess.run([tool, "prune", directory] + arguments)
        #expect(result.status == 64, "\(arguments): \(result.error)")
      }
      #expect(try prune(directory).error.contains("Say what stays"))
    }
  }
}
