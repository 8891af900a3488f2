import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt cat prints the elements of a tensor, all digits of them, as JSON or as a file of NumPy.
@Suite("ckpt cat")
struct CatToolTests {
  private func cat(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt"), "cat"] + arguments)
  }

  @Test func elementsAreANestedArray() throws {
    try InspectFixture.with { fixture in
      let text = try cat(fixture.first, "model/weight")
      #expect(text.status == 0 && text.error.isEmpty)
      #expect(text.output == "[[1.0, \"-Infinity\", \"NaN\"],\n [0.0, -0.0, 2.5]]\n")
      #expect(
        try cat("--json", fixture.first, "model/tied").output
          == "[[1.0,\"-Infinity\",\"NaN\"],[0.0,-0.0,2.5]]\n")
      #expect(try cat(fixture.directory, "scalar").output == "18446744073709551615\n")
      #expect(try cat(fixture.first, "empty").output == "[[], [], []]\n")
      #expect(try cat(fixture.first, "spoof\u{202E}gnp").output == "[true, false]\n")
      #expect(try cat(fixture.first, "half").output == "[1.0, 0.100097656]\n")
    }
  }

  @Test func innerRowsStandUnderEachOther() throws {
    try InspectFixture.with { state in
      state.tensors.append(
        .init(name: "cube", dtype: .int8, shape: [2, 2, 2], bytes: Array(0..<8)))
      state.tensors.append(
        .init(
          name: "complex", dtype: .complex64, shape: [1],
          bytes: [1.5, -.infinity].flatMap { bytes(of: ($0 as Float).bitPattern) }))
      state.tensors.append(.init(name: "odd", dtype: .bool, shape: [3], bytes: [0, 1, 7]))
    } _: { fixture in
      let text = try cat(fixture.second, "cube")
      #expect(text.output == "[[[0, 1],\n  [2, 3]],\n [[4, 5],\n  [6, 7]]]\n")
      #expect(try cat(fixture.second, "cube", "--rows", "1:").output == "[[[4, 5],\n  [6, 7]]]\n")
      #expect(
        try cat(fixture.second, "complex").output
          == "[[1.5, \"-Infinity\"]]\n".replacing(", ", with: ","))
      #expect(try cat(fixture.second, "odd").output == "[false, true, 7]\n")
    }
  }

  @Test func rowsAreThoseThatAreAskedFor() throws {
    try InspectFixture.with { fixture in
      #expect(
        try cat(fixture.first, "model/weight", "--rows", "1:2").output == "[[0.0, -0.0, 2.5]]\n")
      #expect(try cat(fixture.first, "model/weight", "--rows=:1").lines.count == 1)
      #expect(try cat(fixture.first, "model/weight", "--rows", "2:2").output == "[]\n")
      for rows in ["0:3", "3:", "7:8"] {
        let result = try cat(fixture.first, "model/weight", "--rows", rows)
        #expect(
          result.status == 2 && result.error.contains("of shape [2, 3] has no rows"), "\(rows)")
      }
      #expect(try cat(fixture.first, "scalar", "--rows", "0:1").status == 2)
      for rows in ["1", "a:b", "2:1", "-1:1", "0:1:2"] {
        #expect(try cat(fixture.first, "model/weight", "--rows=\(rows)").status == 64, "\(rows)")
      }
    }
  }

  @Test func numPyReadsWhatIsWritten() throws {
    try InspectFixture.with { fixture in
      let path = fixture.directory + "/array.npy"
      let tool = try ToolProcess.path(of: "ckpt")
      func npy(_ name: String, _ rest: String = "") throws -> (
        header: String, body: [UInt8], error: String
      ) {
        let result = try ToolProcess.run([
          "/bin/sh", "-c", "\"$0\" cat --npy \"$1\" \"$2\" \(rest) > \"$3\"", tool, fixture.first,
          name, path,
        ])
        #expect(result.status == 0)
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        let end = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        return (
          String(decoding: bytes[10..<end], as: UTF8.self), Array(bytes[end...]), result.error
        )
      }
      let weight = try npy("model/weight")
      #expect(
        weight.header.contains("'<f4'") && weight.header.contains("(2, 3)") && weight.error.isEmpty)
      #expect(weight.body == InspectFixture.weight.flatMap { bytes(of: $0.bitPattern) })
      let row = try npy("model/weight", "--rows 1:")
      #expect(row.header.contains("(1, 3)") && row.body == Array(weight.body[12...]))
      #expect(try npy("scalar").header.contains("'shape': ()"))
      #expect(try npy("empty").body.isEmpty)
      let half = try npy("half")
      #expect(half.header.contains("'<u2'") && half.body == [0x80, 0x3f, 0xcd, 0x3d])
      #expect(half.error.contains("NumPy has no bfloat16"))
    }
  }

  @Test func aClosedPipeEndsItQuietly() throws {
    try InspectFixture.with { state in
      state.tensors.append(
        .init(name: "long", dtype: .uint8, shape: [1 << 20], bytes: noise(1 << 20)))
    } _: { fixture in
      let tool = try ToolProcess.path(of: "ckpt")
      for option in ["", "--npy"] {
        let result = try ToolProcess.run([
          "/bin/sh", "-c", "\"$0\" cat \(option) \"$1\" long | head -c 6 > /dev/null", tool,
          fixture.second,
        ])
        #expect(result.status == 0 && result.error.isEmpty)
      }
      let full = try ToolProcess.run([
        "/bin/sh", "-c", "\"$0\" cat \"$1\" long > /dev/full", tool, fixture.second,
      ])
      #expect(full.status == 2 && full.error.contains("Cannot write to standard output"))
    }
  }

  @Test func aNameThatIsNotThereGetsASuggestion() throws {
    try InspectFixture.with { fixture in
      let close = try cat(fixture.first, "model/wieght")
      #expect(close.status == 2 && close.error.contains("Did you mean 'model/weight'?"))
      #expect(try cat(fixture.first, "weight").error.contains("Did you mean 'model/weight'?"))
      #expect(try cat(fixture.first, "quite something else").error.contains("'ckpt show' lists"))
      #expect(try cat(fixture.first).status == 64)
      #expect(try cat("--json", "--npy", fixture.first, "half").status == 64)
    }
  }

  @Test func damageIsToldAndNothingOfTheChunkIsPrinted() throws {
    try InspectFixture.with { fixture in
      let offset = try CheckpointReader.open(path: fixture.first).index.chunks.entries[0]
        .storedOffset
      var bytes = [UInt8](try Data(contentsOf: URL(filePath: fixture.first)))
      bytes[Int(offset)] ^= 1
      try Data(bytes).write(to: URL(filePath: fixture.first))
      let result = try cat(fixture.first, "model/weight")
      #expect(result.status == 2 && result.output.isEmpty && result.error.contains("checksum"))
    }
  }
}
