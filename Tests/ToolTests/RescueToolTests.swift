import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt salvage and ckpt doctor do on real files what the library does, and say so by their exit status.
@Suite("ckpt salvage and doctor")
struct RescueToolTests {
  private func ckpt(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt")] + arguments)
  }

  private func objects(_ result: ToolResult) throws -> [[String: Any]] {
    try result.lines.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test func anIntactFileIsCopiedWithoutLoss() throws {
    try StoreFixture.with { store in
      let target = store.directory + "/rescued.ckpt"
      let result = try ckpt("salvage", store.path, target)
      #expect(result.status == 0 && result.error.contains("nothing is lost"), "\(result)")
      #expect(result.lines.count == 3)
      #expect(result.lines.filter { $0.hasPrefix("recovered  ") }.count == 3)
      #expect(result.output.contains("spoof\\u{202e}gnp"))
      #expect(try ToolProcess.verify([target]).status == 0)
      let again = try ckpt("salvage", store.path, target)
      #expect(again.status == 2 && again.error.contains("nothing is overwritten"))
    }
  }

  @Test func aFileWithoutEndsAndWithADamagedChunkIsSalvaged() throws {
    try StoreFixture.with { store in
      let original = try CheckpointReader.open(path: store.path).read("bias")
      let chunk = Int(try store.chunkOffset())
      try store.edit(store.path) { bytes in
        bytes.replaceSubrange(0..<4096, with: [UInt8](repeating: 0, count: 4096))
        bytes[chunk + 5] ^= 1
        bytes.removeLast(1024)
      }
      let target = store.directory + "/rescued"
      let result = try ckpt("salvage", store.path, target, "--json")
      #expect(result.status == 1, "\(result)")
      #expect(result.error.contains("'ckpt show \(target)'"), "what to do next is said")
      #expect(result.error.contains("It is marked unhealthy"))
      let objects = try objects(result)
      try #require(objects.count == 4, "\(result)")
      #expect(objects.compactMap { $0["recovered"] as? Bool } == [true, false, true])
      #expect(objects[1]["lost_ranges"] as? [[Int]] == [[65_536, 131_072]])
      let parts = objects[3]["damaged_parts"] as? [String]
      #expect(parts?.first == "header" && parts?.last == "trailer")
      let reader = try CheckpointReader.open(path: target)
      #expect(try reader.read("bias") == original)
      #expect(reader.metadata.unhealthyReason?.contains("1 of 3 tensors") == true)
      #expect(reader.header.step == 100 && reader.header.generation == 1)  // by the file's name
    }
  }

  @Test func whatCannotBeSalvagedIsToldByTheStatus() throws {
    try StoreFixture.with { store in
      let target = store.directory + "/rescued"
      #expect(try ckpt("salvage", store.path).status == 64)
      #expect(try ckpt("salvage", store.directory + "/none", target).status == 2)
      #expect(try ckpt("salvage", store.path, store.directory + "/none/x").status == 2)
      #expect(try ckpt("salvage", "/proc/self/exe", target).status != 0)
      try store.makeFuture(version: 9)
      let future = try ckpt("salvage", store.path, target)
      #expect(future.status == 3 && future.error.contains("format version 9"))
      try store.edit(store.path) { $0 = [UInt8](repeating: 1, count: 100_000) }
      let nothing = try ckpt("salvage", store.path, target)
      #expect(nothing.status == 1 && nothing.error.contains("There is nothing of a checkpoint"))
      #expect(nothing.error.contains("'ckpt ls \(store.directory)'"), "what to do next is said")
      try store.edit(store.path) { $0 = [] }
      #expect(try ckpt("salvage", store.path, target).error.contains("the file is empty"))
      #expect(!FileManager.default.fileExists(atPath: target))
    }
  }

  @Test func aDirectoryIsExaminedAndLeftAsItWas() throws {
    try withTemporaryDirectory { directory in
      let result = try ckpt("doctor", directory)
      #expect([0, 1].contains(result.status), "\(result)")
      #expect(result.lines.last?.hasPrefix("guarantee: ") == true)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
      let object = try #require(try objects(ckpt("doctor", directory, "--json")).first)
      let isDurable = object["guarantee"] as? String == "durable"
      #expect(isDurable == (result.status == 0) && object["type"] is String)
      #expect(
        (object["probes"] as? [Any])?.count == FileSystemReport.Probe.Kind.allCases.count)
      #expect(try ckpt("doctor", directory + "/none").status == 2)
      #expect(try ckpt("doctor").status == 64)
    }
  }

  @Test(.enabled(if: FileManager.default.isWritableFile(atPath: "/dev/shm")))
  func memoryDoesNotSurviveAPowerCut() throws {
    let result = try ckpt("doctor", "/dev/shm")
    #expect(result.status == 1)
    #expect(result.lines.last == "guarantee: survives a kill of the program, not a power cut")
    #expect(result.output.contains("tmpfs is memory"))
  }

  @Test func helpFitsATerminal() throws {
    for name in ["salvage", "doctor"] {
      let help = try ckpt(name, "--help")
      #expect(help.status == 0 && help.output.contains("usage: ckpt \(name) "))
      let widths = help.output.split(separator: "\n").map(\.count)
      #expect(widths.max() ?? 0 <= 80)
      #expect(try ckpt("--help").output.contains("\n  \(name) "))
    }
  }
}
