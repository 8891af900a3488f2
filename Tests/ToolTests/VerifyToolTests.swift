import CheckpointEngine
import Foundation
import Testing

@Suite("ckpt-verify")
struct VerifyToolTests {
  @Test func intactFileIsOkWithItsFacts() throws {
    try StoreFixture.with { store in
      let result = try ToolProcess.verify([store.path])
      let byteCount = try CheckpointReader.open(path: store.path).byteCount
      #expect(result.status == 0)
      #expect(
        result.output
          == "ok  \(store.path)  level=full step=100 generation=1 tensors=3 chunks=5 "
          + "bytes=\(byteCount)\n")
      #expect(result.error == "ckpt-verify: 1 intact (level full).\n")
    }
  }

  @Test func checkpointsOfAStoreComeOldestFirst() throws {
    try StoreFixture.with(3) { store in
      let result = try ToolProcess.verify([store.directory, "--jobs", "2"])
      #expect(result.status == 0)
      #expect(result.lines.map { $0.split(separator: " ")[1] } == store.paths.map { $0[...] })
      #expect(result.error == "ckpt-verify: 3 intact (level full).\n")
    }
  }

  @Test func flippedBitNamesTensorChunkAndOffset() throws {
    try StoreFixture.with { store in
      let offset = try store.chunkOffset()
      try store.flip(offset + 77)
      for level in [[], ["--stored"]] {
        let result = try ToolProcess.verify([store.path] + level)
        #expect(result.status == 1)
        #expect(result.lines.count == 1)
        let place = "offset=\(offset) tensor='wte.weight' chunk=1  The checksum of the stored chunk"
        #expect(result.output.hasPrefix("damaged  \(store.path)  level="))
        #expect(result.output.contains(place))
      }
    }
  }

  @Test func everyDamagedChunkIsReported() throws {
    try StoreFixture.with { store in
      let offset = try store.chunkOffset()
      try store.flip(offset)
      try store.flip(offset + (1 << 16) + 200)  // in chunk 2
      let result = try ToolProcess.verify([store.path])
      #expect(result.status == 1)
      #expect(result.lines.count == 2)
      #expect(result.lines.last?.contains("chunk=2") == true)
    }
  }

  @Test func levelNamedIsTheLevelExamined() throws {
    try StoreFixture.with { store in
      try store.flip(try store.chunkOffset())
      let result = try ToolProcess.verify(["--quick", store.path])
      #expect(result.status == 0)
      #expect(result.output.contains("  level=quick step=100 "))
      #expect(result.error.contains("(level quick)"))
    }
  }

  @Test func renamedCheckpointIsAFinding() throws {
    try StoreFixture.with { store in
      let path = store.directory + "/step-000000007.g000001.ckpt"
      try FileManager.default.moveItem(atPath: store.path, toPath: path)
      let result = try ToolProcess.verify([path])
      #expect(result.status == 1)
      #expect(result.output.contains("contradicts its header, which says step 100, generation 1."))
    }
  }

  @Test(arguments: [(999, 0), (1, 1 << 40)] as [(UInt32, UInt64)])
  func fileOfANewerFormatIsUnsupported(version: UInt32, feature: UInt64) throws {
    try StoreFixture.with { store in
      try store.makeFuture(version: version, feature: feature)
      let result = try ToolProcess.verify([store.path])
      #expect(result.status == 3)
      #expect(result.output.hasPrefix("unsupported  "))
      #expect(result.output.contains(feature == 0 ? "version 999" : "bit 40"))
      // The same bytes under a checksum that does not fit are damage.
      try store.flip(12)
      #expect(try ToolProcess.verify([store.path]).status == 1)
    }
  }

  @Test func strictLimitsRefuseWhatDefaultLimitsAccept() throws {
    try withTemporaryDirectory { directory in
      let store = try CheckpointStore(directory, for: .writing, options: StoreOptions(threads: 1))
      var plan = SavePlan()
      let name = String(repeating: "n", count: 600)
      try plan.append(TensorDescriptor(name: name, dtype: .uint8, shape: [0]))
      let path = try store.save(plan, step: 1) { _ in }.path
      #expect(try ToolProcess.verify([path]).status == 0)
      #expect(try ToolProcess.verify([path, "--limits=strict"]).status == 3)
    }
  }

  @Test func worstVerdictDecidesTheStatus() throws {
    try StoreFixture.with { intact in
      try StoreFixture.with { newer in
        try newer.makeFuture(version: 2_000)
        try StoreFixture.with { damaged in
          try damaged.flip(try damaged.chunkOffset())
          let missing = intact.directory + "/missing.ckpt"
          func status(_ paths: String...) throws -> Int32 {
            try ToolProcess.verify(paths).status
          }
          #expect(try status(newer.path, missing, damaged.path, intact.path) == 1)
          #expect(try status(newer.path, intact.path, missing) == 2)
          #expect(try status(intact.path, newer.path, intact.path) == 3)
          #expect(try status(intact.path, intact.path) == 0)
          let result = try ToolProcess.verify([newer.path, missing, damaged.path, intact.path])
          #expect(
            result.error == "ckpt-verify: 1 intact, 1 damaged, 1 unreadable, "
              + "1 unsupported (level full).\n")
        }
      }
    }
  }

  @Test func quarantinedFileIsVerifiedOnlyIfNamed() throws {
    try StoreFixture.with { store in
      let path = store.path + ".damaged"
      try FileManager.default.moveItem(atPath: store.path, toPath: path)
      let all = try ToolProcess.verify([store.directory])
      #expect(all.status == 2)
      #expect(all.error.contains("\(path) was set aside as damaged; name it"))
      #expect(try ToolProcess.verify([path]).status == 0)
    }
  }

  // MARK: Names

  @Test func namesCannotSteerATerminal() throws {
    try StoreFixture.with { store in
      let evil = store.directory + "/\u{1B}[31m\u{202E}tpkc.ckpt"
      try FileManager.default.moveItem(atPath: store.path, toPath: evil)
      // Tensor 2, whose name holds a bidirectional override, is the last chunk.
      let chunks = try CheckpointReader.open(path: evil).index.chunks.entries
      try store.flip(chunks[chunks.count - 1].storedOffset, of: evil)
      for arguments in [[evil], [evil, "--json"], [evil + "\u{1B}"], ["--\u{1B}[31m"]] {
        let result = try ToolProcess.verify(arguments)
        #expect(result.status != 0)
        let printed = result.output + result.error
        #expect(!printed.unicodeScalars.contains { "\u{1B}\u{202E}".unicodeScalars.contains($0) })
      }
      let result = try ToolProcess.verify([evil])
      #expect(result.output.contains(#"/\u{1b}[31m\u{202e}tpkc.ckpt  level=full"#))
      #expect(result.output.contains(#"tensor='spoof\u{202e}gnp' chunk=0"#))
    }
  }

  @Test func argumentThatIsNotUTF8IsNoCrash() throws {
    let result = try ToolProcess.shell(#"exec "$0" "$(printf 'a\377b.ckpt')""#, [])
    #expect(result.status == 2)
    #expect(result.error.contains("A path that is not UTF-8 cannot be opened"))
  }

  // MARK: JSON

  @Test func jsonLinesSayWhatTextSays() throws {
    try StoreFixture.with(2) { store in
      let offset = try store.chunkOffset()
      try store.flip(offset)
      let result = try ToolProcess.verify(["--json", store.directory, "/missing\u{202E}"])
      #expect(result.status == 1)
      let objects = try result.lines.map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(objects.count == 4)
      #expect(objects.allSatisfy { $0["schema"] as? Int == 1 })
      #expect(objects.map { $0["status"] as? String } == ["damaged", "ok", "unreadable", nil])
      #expect(objects[0]["path"] as? String == store.paths[0])
      #expect(objects[1]["step"] as? Int == 200)
      #expect(objects[1]["checked_chunks"] as? Int == 5)
      #expect(objects[2]["path"] as? String == "/missing\u{202E}")
      #expect(objects[2]["step"] == nil)
      let findings = try #require(objects[0]["findings"] as? [[String: Any]])
      #expect(findings.count == 1)
      #expect(findings[0]["code"] as? String == "corrupted")
      #expect(findings[0]["offset"] as? UInt64 == offset)
      #expect(findings[0]["tensor"] as? String == "wte.weight")
      #expect(findings[0]["chunk"] as? Int == 1)
      #expect(objects[3]["event"] as? String == "summary")
      #expect(objects[3]["damaged"] as? Int == 1)
      #expect(objects[3]["exit"] as? Int == 1)
    }
  }
}
