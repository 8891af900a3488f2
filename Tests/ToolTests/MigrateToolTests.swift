import CheckpointEngine
import Foundation
import Testing

// Goal: ckpt-migrate does what its command line says, tells what it did, and exits as its help says.
@Suite("ckpt-migrate")
struct MigrateToolTests {
  private func migrate(_ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: "ckpt-migrate")] + arguments)
  }

  private func objects(_ result: ToolResult) throws -> [[String: Any]] {
    try result.lines.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private func versions(_ paths: [String]) throws -> [FormatVersion] {
    try paths.map { try CheckpointReader.open(path: $0).header.formatVersion }
  }

  @Test func aFileBecomesAnotherAndStays() throws {
    try StoreFixture.with { fixture in
      let target = fixture.directory + "/../new.ckpt"
      let before = try Data(contentsOf: URL(filePath: fixture.path))
      let dry = try migrate(fixture.path, target, "--to", "1", "--drop", "bias", "--dry-run")
      #expect(dry.status == 0 && dry.error.isEmpty)
      #expect(
        dry.lines.prefix(2) == ["format version 1", "drop bias"]
          && dry.output.contains("loses: 'bias' is dropped")
          && dry.output.contains("Nothing was written."))
      #expect(!FileManager.default.fileExists(atPath: target))
      let result = try migrate(
        fixture.path, target, "--to=1", "--rename", "wte.weight=w", "--drop=bias",
        "--split", "w=a,b@1", "--cast", "a=bfloat16")
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(result.output.contains("new.ckpt: format 1, "))
      #expect(result.output.contains("cast a from float32 to bfloat16: "))
      let reader = try CheckpointReader.open(path: target)
      #expect(reader.header.formatVersion == .v1)
      #expect(reader.tensors.map(\.name).prefix(3) == ["spoof\u{202E}gnp", "a", "b"])
      #expect(reader.descriptor(of: "a")?.shape == [40, 512])
      #expect(try Data(contentsOf: URL(filePath: fixture.path)) == before)
      let again = try migrate(fixture.path, target)
      #expect(again.status == 2 && again.error.contains("nothing is overwritten"))
      // In a directory, it has the name of its source.
      try FileManager.default.createDirectory(
        atPath: fixture.directory + "/../other", withIntermediateDirectories: false)
      #expect(try migrate(fixture.path, fixture.directory + "/../other").status == 0)
      let name = URL(filePath: fixture.path).lastPathComponent
      #expect(FileManager.default.fileExists(atPath: fixture.directory + "/../other/" + name))
    }
  }

  @Test func aStoreIsMigratedAndBack() throws {
    try StoreFixture.with(3) { fixture in
      let dry = try migrate("--in-store", fixture.directory, "--to", "1", "--dry-run")
      #expect(dry.status == 0 && dry.lines.count == 5 && dry.output.contains("format 2, "))
      #expect(try versions(fixture.paths) == [.v2, .v2, .v2])
      let down = try migrate("--in-store", fixture.directory, "--to", "1")
      #expect(down.status == 0 && down.lines.count == 3)
      #expect(down.error == "ckpt-migrate: 3 checkpoints migrated.\n")
      #expect(try versions(fixture.paths) == [.v1, .v1, .v1])
      let none = try migrate("--in-store", fixture.directory, "--to", "1")
      #expect(none.status == 0 && none.error.contains("0 checkpoints migrated, 3 needed nothing"))
      let up = try objects(migrate("--in-store", fixture.directory, "--json"))
      #expect(
        up.compactMap { $0["event"] as? String } == ["migrated", "migrated", "migrated", "summary"])
      #expect(up.compactMap { $0["format_version"] as? Int } == [2, 2, 2])
      #expect(up.last?["migrated"] as? Int == 3)
      #expect(try ToolProcess.verify([fixture.directory]).status == 0)
    }
  }

  @Test func aPlanInAFileIsFollowed() throws {
    try StoreFixture.with { fixture in
      let plan = fixture.directory + "/../plan.json"
      func write(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: plan)) }
      try write(
        """
        {"schema": 1, "format_version": 1, "steps": [
          {"step": "split", "name": "wte.weight", "parts": ["q", "k,v=o"], "sizes": [10, 30]},
          {"step": "merge", "name": "joined", "parts": ["k,v=o", "q"]},
          {"step": "reshape", "name": "bias", "shape": [4, 4]},
          {"step": "alias", "name": "tied", "of": "bias"},
          {"step": "add", "name": "zeros", "dtype": "int8", "shape": [3]},
          {"step": "cast", "name": "b*", "dtype": "float64"},
          {"step": "drop", "name": "spoof*"}]}
        """)
      let target = fixture.directory + "/../new.ckpt"
      let result = try migrate(fixture.path, target, "--plan", plan)
      #expect(result.status == 0, "\(result.error)")
      let reader = try CheckpointReader.open(path: target)
      #expect(reader.header.formatVersion == .v1)
      let old = try CheckpointReader.open(path: fixture.path).read("wte.weight")
      let border = 10 * 4096
      #expect(try reader.read("joined") == Array(old[border...]) + Array(old[..<border]))
      #expect(reader.descriptor(of: "bias")?.shape == [4, 4])
      #expect(Set(reader.tensors.map(\.name)) == ["tied", "bias", "joined", "zeros"])
      for (text, message) in [
        ("{", "is no JSON"), ("{}", "lacks 'schema'"), (#"{"schema": 9}"#, "has schema 9"),
        (#"{"schema": 1, "format_version": 7}"#, "format version 7"),
        (#"{"schema": 1, "steps": [{"step": "renam", "name": "x"}]}"#, "Did you mean 'rename'?"),
        (#"{"schema": 1, "steps": [{"step": "cast", "name": "x"}]}"#, "needs 'dtype'"),
        (#"{"schema": 1, "steps": [{"step": "drop"}]}"#, "needs 'name'"),
        (#"{"schema": 1, "steps": [{"step": 3}]}"#, "wrong type at steps"),
      ] {
        try write(text)
        let wrong = try migrate(fixture.path, target + "2", "--plan", plan)
        #expect(wrong.status == 64 && wrong.error.contains(message), "\(text): \(wrong.error)")
      }
      let missing = try migrate(fixture.path, target + "2", "--plan", plan + ".none")
      #expect(missing.status == 64 && missing.error.contains("cannot be read"))
    }
  }

  @Test func damageAndOtherReasonsHaveTheirStatus() throws {
    try StoreFixture.with(3) { fixture in
      let target = fixture.directory + "/../new.ckpt"
      try fixture.flip(fixture.chunkOffset())
      let damaged = try migrate("--in-store", fixture.directory, "--to", "1")
      #expect(
        damaged.status == 1 && damaged.error.contains("2 checkpoints migrated, 1 left as they"))
      #expect(damaged.output.contains("stays as it is: ") && damaged.output.contains("wte.weight"))
      #expect(try versions(fixture.paths) == [.v2, .v1, .v1])
      #expect(try migrate(fixture.path, target).status == 1)
      let step = try migrate(fixture.paths[1], target, "--rename", "no=x")
      #expect(step.status == 1 && step.error.contains("'no' is not there"))
      let lossy = try migrate("--in-store", fixture.directory, "--drop", "bias")
      #expect(lossy.status == 1 && lossy.error.contains("--keep-originals DIR"))
      #expect(try migrate(fixture.directory + "/none.ckpt", target).status == 2)
      #expect(try migrate("--in-store", fixture.directory + "/none").status == 2)
      try fixture.makeFuture(version: 3)
      let future = try migrate(fixture.path, target)
      #expect(future.status == 3 && future.error.contains("version 3"))
      #expect(try migrate("--in-store", fixture.directory).status == 3)
      #expect(!FileManager.default.fileExists(atPath: target))
      let store = try CheckpointStore(fixture.directory, for: .writing)
      let busy = try migrate("--in-store", fixture.directory, "--to", "1")
      #expect(busy.status == 2 && busy.error.contains("is open for writing"))
      withExtendedLifetime(store) {}
    }
  }

  @Test func aLimitOnTheSizeOfFilesIsAnErrorAndLeavesNothing() throws {
    try StoreFixture.with { fixture in
      for command in ["--in-store $2 --to 1", "$1 $2/../new.ckpt"] {
        let result = try ToolProcess.run([
          "/bin/sh", "-c", "ulimit -f 8; exec $0 " + command,
          try ToolProcess.path(of: "ckpt-migrate"), fixture.path, fixture.directory,
        ])
        #expect(result.status == 2 && result.error.contains("ulimit -f"), "\(result.error)")
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: fixture.directory)
      #expect(names.filter { $0.hasSuffix(".tmp") }.isEmpty)
      #expect(try versions(fixture.paths) == [.v2])
    }
  }

  @Test func originalsAreKeptAndWhatIsLostIsTold() throws {
    try StoreFixture.with(2) { fixture in
      let before = try fixture.paths.map { try Data(contentsOf: URL(filePath: $0)) }
      let kept = fixture.directory + "/../originals"
      let result = try migrate(
        "--in-store", fixture.directory, "--drop", "bias", "--keep-originals", kept)
      #expect(result.status == 0, "\(result.error)")
      for (path, bytes) in zip(fixture.paths, before) {
        let name = URL(filePath: path).lastPathComponent
        #expect(try Data(contentsOf: URL(filePath: kept + "/" + name)) == bytes)
        #expect(try CheckpointReader.open(path: path).tensorCount == 2)
      }
      #expect(try ToolProcess.verify([fixture.directory, kept]).status == 0)
    }
  }

  @Test func aDryRunEndsAsTheRealOneWould() throws {
    try StoreFixture.with(2) { fixture in
      let dry = ["--in-store", fixture.directory, "--dry-run"]
      func status(_ more: String...) throws -> ToolResult {
        try ToolProcess.run([try ToolProcess.path(of: "ckpt-migrate")] + dry + more)
      }
      #expect(try status("--to", "1").status == 0)
      let lossy = try status("--drop", "bias")
      #expect(lossy.status == 1 && lossy.error.contains("add --keep-originals DIR"))
      let kept = try status("--drop", "bias", "--keep-originals", fixture.directory + "/..")
      #expect(kept.status == 0 && kept.output.contains("For the originals "))
      let pattern = try status("--drop", "optimzer/**")
      #expect(pattern.status == 1 && pattern.error.contains("nothing matches 'optimzer/**'"))
      #expect(try status("--cast", "w*.weight=bfloat16").status == 1)
      #expect(try status("--cast", "none*=bfloat16").error.contains("nothing matches"))
    }
  }

  @Test func aLineWithoutMeaningIsAnswered() throws {
    let lines = [
      [], ["a"], ["a", "b", "c"], ["--in-store"], ["--in-store", "a", "b"],
      ["a", "b", "--to", "x"],
      ["a", "b", "--to", "9"], ["a", "b", "--rename", "x"], ["a", "b", "--rename", "=x"],
      ["a", "b", "--cast", "x=float33"], ["a", "b", "--reshape", "x=2xx"],
      ["a", "b", "--split", "x=a,b@y"], ["a", "b", "--merge", "a,b=x,y"],
      ["a", "b", "--keep-originals", "c"], ["a", "b", "--renam", "x=y"],
    ]
    for arguments in lines {
      let result = try ToolProcess.run([try ToolProcess.path(of: "ckpt-migrate")] + arguments)
      #expect(result.status == 64, "\(arguments): \(result.error)")
    }
    #expect(try migrate("a", "b", "--cast", "x=float33").error.contains("Did you mean 'float32'?"))
    let help = try migrate("--help")
    #expect(help.status == 0 && help.lines.allSatisfy { $0.count <= 80 })
  }
}
