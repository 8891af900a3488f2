import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt diff says whether two states are the same, in words, in JSON and in its status.
@Suite("ckpt diff")
struct DiffToolTests {
  private func diff(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt"), "diff"] + arguments)
  }

  @Test func theSameStateIsTheSameWhateverElseDiffers() throws {
    try InspectFixture.with {
      $0.metadata[.metric, "loss"] = .float64(.nan)
    } _: { fixture in
      let exact = try diff("--exact", fixture.first, fixture.second)
      #expect(exact.status == 0 && exact.error.isEmpty)
      #expect(exact.output == "The states are the same, bit for bit: step 7, 6 tensors, 38 B.\n")
      let all = try diff(fixture.first, fixture.directory)
      #expect(all.status == 0 && all.lines.contains("  loss  0.25 -> nan"))
      let json = try diff("--json", fixture.first, fixture.second)
      #expect(json.status == 0 && json.lines.last?.contains(#""same":true"#) == true)
      #expect(json.lines.first?.contains(#""b":{"type":"float64","value":"NaN"}"#) == true)
    }
  }

  @Test func whatDiffersIsTold() throws {
    try InspectFixture.with { state in
      state.change("model/weight") { $0.bytes[0] ^= 1 }
      state.change("half") { $0.shape = [2, 1] }
      state.tensors.removeAll { $0.name == "empty" }
      state.tensors.append(.init(name: "new\u{202E}", dtype: .int8, shape: [1], bytes: [1]))
      state.metadata[.state, "count"] = .uint64(41)
      state.step = 8
    } _: { fixture in
      let result = try diff(fixture.first, fixture.second)
      #expect(result.status == 1)
      for line in [
        "only in a", "  empty  int64  [3, 0]", "only in b", "  new\\u{202e}  int8  [1]",
        "of another dtype or shape", "  half  bfloat16 [2] -> bfloat16 [2, 1]",
        "changed: 1 of 4 tensors",
        "  name                       changed   max abs   max rel  max ulp",
        "  model/weight (and 1 tied)     17 %  1.192e-7  1.192e-7        1",
        "  count  41 (int64) -> 41 (uint64)",
        "The states differ: the step, 4 tensors, 1 value.",
      ] {
        #expect(result.lines.contains(line), "\(line)\n\(result.output)")
      }
      let exact = try diff("--exact", "--limit", "0", fixture.first, fixture.second)
      #expect(exact.status == 1 && exact.lines.contains("  ... and 1 more"))
      #expect(!exact.output.contains("max abs"))
      let part = try diff("--tensors", "scalar", fixture.first, fixture.second)
      #expect(part.status == 0 && part.output.contains("The selected tensors are the same"))
      let objects = try diff("--json", fixture.first, fixture.second).lines
      for text in [
        #""change":"removed""#, #""change":"added""#, #""change":"described""#, #""max_ulp":1"#,
      ] {
        #expect(objects.count { $0.contains(text) } == 1, "\(text)")
      }
    }
  }

  @Test func untiedTensorsAreADifference() throws {
    try InspectFixture.with { state in
      let bytes = state.tensors[0].bytes
      state.change("model/tied") { ($0.aliasOf, $0.bytes) = (nil, bytes) }
    } _: { fixture in
      let result = try diff("--exact", fixture.first, fixture.second)
      #expect(result.status == 1)
      #expect(result.lines.contains("  model/tied and model/weight in a only"))
    }
  }

  @Test func whatCannotBeComparedHasItsStatus() throws {
    try InspectFixture.with { fixture in
      #expect(try diff(fixture.first).status == 64)
      #expect(try diff("--limit", "x", fixture.first, fixture.second).status == 64)
      #expect(try diff(fixture.first, fixture.first + "x").status == 2)
      #expect(try diff("--tensors", "nothing", fixture.first, fixture.second).status == 2)
      let url = URL(filePath: fixture.second)
      var bytes = try Data(contentsOf: url)
      // The future, as far as the first bytes tell.
      let future = FileStart(
        formatVersion: 99, readFeatures: [], generation: 1,
        saveIdentifier: try CheckpointReader.open(path: fixture.second).header.saveIdentifier)
      bytes.replaceSubrange(0..<FileStart.byteCount, with: future.encoded)
      try bytes.write(to: url)
      #expect(try diff(fixture.first, fixture.second).status == 3)
    }
  }
}
