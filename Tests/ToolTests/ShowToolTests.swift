import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt show tells what is in a checkpoint, to people and to programs.
@Suite("ckpt show")
struct ShowToolTests {
  private func show(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt"), "show"] + arguments)
  }

  private func objects(_ result: ToolResult) throws -> [[String: Any]] {
    try result.lines.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test func headerValuesAndTensorsAreShown() throws {
    try InspectFixture.with { fixture in
      let result = try show(fixture.first)
      #expect(result.status == 0 && result.error.isEmpty)
      let lines = result.lines
      for line in [
        "  step        7", "  generation  1", "  parent      none: the first of its run",
        "  health      unhealthy: nan in 'loss'", "  pinned      no", "state values",
        "  count    41",
        "state versions", "  (whole state)  3", "metrics", "  loss  0.25",
        "contract: what a resume compares", "  seed  5", "tensors: 6",
        "  name              dtype     shape   size  stored",
        "  model/weight      float32   [2, 3]  24 B    24 B  100 %",
        "  model/tied        float32   [2, 3]  24 B    tied",
        "  model/tied is tied to model/weight",
      ] {
        #expect(lines.contains(line), "\(line)\n\(result.output)")
      }
      #expect(result.output.contains("\\u{202e}") && !result.output.contains("\u{202E}"))
    }
  }

  @Test func aStoreStandsForItsNewestThatCanBeOpened() throws {
    try InspectFixture.with { fixture in
      #expect(try show(fixture.directory).lines.first == fixture.second)
      try Data(repeating: 0, count: 9000).write(to: URL(filePath: fixture.second))
      let result = try show(fixture.directory)
      #expect(result.status == 0 && result.lines.first == fixture.first)
      #expect(result.error.contains("passed over"))
    }
    try withTemporaryDirectory { directory in
      let result = try show(directory)
      #expect(result.status == 2 && result.error.contains("has no checkpoint that can be opened"))
    }
  }

  @Test func statisticsAreThoseOfTheElements() throws {
    try InspectFixture.with { fixture in
      let all = try objects(show("--json", "--statistics", fixture.first))
      let weight = try #require(all.first { $0["name"] as? String == "model/weight" })
      #expect(weight["min"] as? String == "-Infinity" && weight["max"] as? Double == 2.5)
      #expect(weight["nan"] as? Int == 1 && weight["infinite"] as? Int == 1)
      #expect(weight["zero"] as? Int == 2 && weight["mean"] as? Double == 0.875)
      #expect(weight["numbers"] as? Int == 6)
      let empty = try #require(all.first { $0["name"] as? String == "empty" })
      #expect(empty["min"] is NSNull && empty["mean"] is NSNull && empty["l2_norm"] as? Int == 0)
      let text = try show("--statistics", "--tensors", "model/weight", fixture.first)
      #expect(
        text.output.hasSuffix(
          """
          statistics
            name           min  max   mean  L2 norm  NaN  infinite  zero
            model/weight  -inf  2.5  0.875    2.693    1         1     2

          """), "\(text.output)")
    }
  }

  @Test func jsonTellsTheCheckpointAndEachTensor() throws {
    try InspectFixture.with { fixture in
      let all = try objects(show("--json", fixture.first))
      #expect(
        all.compactMap { $0["event"] as? String } == ["checkpoint"]
          + Array(repeating: "tensor", count: 6))
      #expect(all[0]["step"] as? Int == 7 && all[0]["unhealthy"] as? String == "nan in 'loss'")
      let values = try #require(all[0]["values"] as? [[String: Any]])
      #expect(
        values.compactMap { $0["domain"] as? String } == [
          "state", "state", "metric", "environment", "environment", "state_version",
        ])
      #expect(values[1]["type"] as? String == "bytes" && values[1]["value"] as? String == "00ff")
      #expect(
        all[2]["alias_of"] as? String == "model/weight" && all[2]["stored_bytes"] as? Int == 0)
    }
  }

  @Test func onlyTheTensorsThatAreAskedForAreShown() throws {
    try InspectFixture.with { fixture in
      let result = try show("--tensors", "model/*", "--tensors", "empty", fixture.first)
      #expect(result.lines.contains("tensors: 3 of 6"))
      let none = try show("--tensors", "modle/*", fixture.first)
      #expect(none.status == 2 && none.error.contains("no tensor that matches 'modle/*'"))
    }
  }

  @Test func whatCannotBeShownHasItsStatus() throws {
    try InspectFixture.with { fixture in
      #expect(try show(fixture.directory + "/nothing").status == 2)
      #expect(try show().status == 64)
      #expect(try show(fixture.first, fixture.second).status == 64)
      try Data(repeating: 7, count: 5000).write(to: URL(filePath: fixture.first))
      #expect(try show(fixture.first).status == 2)
    }
  }
}
