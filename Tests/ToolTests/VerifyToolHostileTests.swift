import CheckpointEngine
import CommandLineTool
import Foundation
import Testing
import ckpt_verify

/// What is no checkpoint at all, and what cannot be read or written.
@Suite("ckpt-verify, hostile places")
struct VerifyToolHostileTests {
  /// Things that may lie under a checkpoint's name.
  enum Thing: String, CaseIterable {
    case empty, oneByte, truncated, lastByteMissing, oneByteMore, zeros, noise, directory, fifo
    case linkToEndlessZeros, linkToCheckpoint, device

    func put(at path: String, insteadOf store: StoreFixture) throws {
      let manager = FileManager.default
      let intact = [UInt8](try Data(contentsOf: URL(fileURLWithPath: store.path)))
      let bytes: [UInt8]
      switch self {
      case .empty: bytes = []
      case .oneByte: bytes = [0xD3]
      case .truncated: bytes = Array(intact[..<(intact.count / 2)])
      case .lastByteMissing: bytes = intact.dropLast()
      case .oneByteMore: bytes = intact + [0]
      case .zeros: bytes = [UInt8](repeating: 0, count: 1 << 20)
      case .noise: bytes = ToolTests.noise(10 << 20)
      case .directory:
        return try manager.createDirectory(atPath: path, withIntermediateDirectories: false)
      case .fifo:
        return #expect(unsafe mkfifo(path, 0o600) == 0)
      case .linkToEndlessZeros:
        return try manager.createSymbolicLink(atPath: path, withDestinationPath: "/dev/zero")
      case .linkToCheckpoint:
        return try manager.createSymbolicLink(atPath: path, withDestinationPath: store.path)
      case .device: return
      }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
  }

  @Test(arguments: Thing.allCases)
  func whatIsNoCheckpointIsDamage(thing: Thing) throws {
    try StoreFixture.with { store in
      var path = store.directory + "/step-000000200.g000002.ckpt"
      try thing.put(at: path, insteadOf: store)
      if thing == .device { path = "/dev/zero" }
      let result = try ToolProcess.verify([path])
      #expect(result.status == 1)
      #expect(result.lines.count == 1)
      #expect(result.output.hasPrefix("damaged  \(path)  level=full"))
      // Far below a second on an idle machine; this is about reading all of an endless file.
      #expect(result.seconds < 10)
      guard thing != .device else { return }
      // As an entry of its store it is found as well, and hides nothing.
      let all = try ToolProcess.verify([store.directory])
      #expect(all.status == 1)
      #expect(
        all.lines.map { $0.prefix(7) }.sorted() == ["damaged", "ok  \(store.path.prefix(3))"])
    }
  }

  @Test func missingPathCouldNotBeTold() throws {
    for path in ["/nowhere/at/all.ckpt", "", "/dev/null/x"] {
      let result = try ToolProcess.verify([path])
      #expect(result.status == 2)
      #expect(result.output.hasPrefix("unreadable  \(path)  level=full"))
      #expect(result.error == "ckpt-verify: 1 unreadable (level full).\n")
    }
  }

  @Test func directoryWithoutCheckpointsIsNothingToVerify() throws {
    try withTemporaryDirectory { directory in
      try Data("x".utf8).write(to: URL(fileURLWithPath: directory + "/model.ckpt"))
      let result = try ToolProcess.verify([directory])
      #expect(result.status == 2)
      #expect(
        result.output
          == "unreadable  \(directory)  level=full  There is no checkpoint in this directory: nothing to verify.\n"
      )
    }
  }

  /// A way to run a command without the right to read everything; nil if there is none.
  static let ordinaryUser: [String]? = {
    if geteuid() != 0 { return [] }
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
    return setpriv.map { [$0, "--reuid=65534", "--regid=65534", "--clear-groups"] }
  }()

  @Test(.enabled(if: ordinaryUser != nil, "needs setpriv when run by root"))
  func fileWithoutPermissionCouldNotBeTold() throws {
    try StoreFixture.with { store in
      try withTemporaryDirectory { directory in
        let manager = FileManager.default
        // Where the ordinary user can reach both: the build may lie in somebody's home.
        let tool = directory + "/ckpt-verify"
        try manager.copyItem(atPath: ToolProcess.path(of: "ckpt-verify"), toPath: tool)
        let file = directory + "/secret.ckpt"
        try manager.copyItem(atPath: store.path, toPath: file)
        try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory)
        try manager.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        let user = try #require(Self.ordinaryUser)
        #expect(try ToolProcess.run(user + [tool, file]).status == 0)
        try manager.setAttributes([.posixPermissions: 0], ofItemAtPath: file)
        let result = try ToolProcess.run(user + [tool, file])
        #expect(result.status == 2)
        #expect(result.output.contains("Permission denied"))
        // A directory that cannot be listed.
        let store = directory + "/store"
        try manager.createDirectory(atPath: store, withIntermediateDirectories: false)
        try manager.setAttributes([.posixPermissions: 0], ofItemAtPath: store)
        #expect(try ToolProcess.run(user + [tool, store]).status == 2)
        try manager.setAttributes([.posixPermissions: 0o700], ofItemAtPath: store)
      }
    }
  }

  /// Where strace(1) is, if this user may look at a child.
  private static let strace: String? = {
    let path = "/usr/bin/strace"
    let result = try? ToolProcess.run([path, "-o", "/dev/null", "/bin/true"])
    return result?.status == 0 ? path : nil
  }()

  /// The system itself fails a read of one chunk: a bad sector, and no damage.
  @Test(
    .enabled(if: strace != nil, "needs strace, which .ci/install installs, and the right to trace"))
  func chunkThatCannotBeReadCouldNotBeTold() throws {
    try StoreFixture.with { store in
      let strace = try #require(Self.strace)
      let trace = store.directory + "/trace"
      let tool = [try ToolProcess.path(of: "ckpt-verify"), "--jobs", "1", store.path]
      let traced = [strace, "-f", "-o", trace, "-e", "trace=pread64"]
      #expect(try ToolProcess.run(traced + tool).status == 0)
      let calls = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
        .filter { $0.contains("pread64(") }
      // All chunks are read together; if that fails, one by one.
      let chunks = try CheckpointReader.open(path: store.path).index.chunks.entries
      let all =
        try #require(
          calls.firstIndex { $0.contains(", \(chunks[0].frameOffset))") }) + 1
      // Both reads of chunk 1 of tensor 1, which is the third.
      let failing = "when=\(all)..\(all + 3)+3"
      let result = try ToolProcess.run(
        traced + ["-e", "inject=pread64:error=EIO:" + failing] + tool)
      #expect(result.status == 2)
      #expect(result.lines.count == 1, "\(result.output)")
      #expect(result.output.hasPrefix("unreadable  \(store.path)  level=full"))
      #expect(result.output.contains("wte.weight"))
      #expect(result.output.contains("Input/output error"))
      #expect(result.error == "ckpt-verify: 1 unreadable (level full).\n")
    }
  }

  // MARK: The command line

  @Test func commandLineWithoutMeaningIsAnsweredWithHelp() throws {
    let expected: [([String], String)] = [
      ([], "Name at least one checkpoint file or directory of checkpoints."),
      (["--sored", "x"], "There is no option '--sored'. Did you mean --stored?"),
      (["--quick", "--stored", "x"], "--quick and --stored exclude each other."),
      (["--jobs", "0", "x"], "--jobs: '0' is out of range: 1 to 1024."),
      (["--limits", "lax", "x"], "--limits: 'lax' is not one of: default, strict."),
      (["--json=1", "x"], "--json takes no value; it was given '1'."),
    ]
    for (arguments, message) in expected {
      let result = try ToolProcess.verify(arguments)
      #expect(result.status == 64)
      #expect(result.output.isEmpty)
      #expect(
        result.error == "ckpt-verify: \(message)\n"
          + "Run 'ckpt-verify --help' to see what it understands.\n")
    }
  }

  @Test func helpFitsATerminalAndListsEveryStatus() throws {
    let result = try ToolProcess.verify(["--nonsense", "--help"])
    #expect(result.status == 0)
    #expect(result.error.isEmpty)
    #expect(result.lines.allSatisfy { $0.count <= 80 })
    for status in [" 0", " 1", " 2", " 3", "64"] {
      #expect(result.output.contains("\n  \(status)  "))
    }
    let version = try ToolProcess.verify(["--version"])
    #expect(version.status == 0)
    #expect(version.output == "ckpt-verify \(StoreOptions.libraryVersion)\n")
  }

  // MARK: Output that goes nowhere

  @Test(arguments: [">&-", ">/dev/full"])
  func verdictThatCannotBePrintedIsNoSuccess(redirection: String) throws {
    try StoreFixture.with { store in
      let result = try ToolProcess.shell(#"exec "$0" "$1" "# + redirection, [store.path])
      #expect(result.status == 2)
      #expect(result.error.hasPrefix("Cannot write to standard output: "))
    }
  }

  @Test func closedStandardErrorDoesNotHarmResults() throws {
    try StoreFixture.with { store in
      let result = try ToolProcess.shell(#"exec "$0" "$1" 2>&-"#, [store.path])
      #expect(result.status == 0)
      #expect(result.output.hasPrefix("ok  "))
    }
  }

  /// Also where SIGPIPE is ignored, as some container runtimes start programs.
  @Test(arguments: ["", "trap '' PIPE; "])
  func brokenPipeEndsTheProgramAsItEndsAny(preparation: String) throws {
    try StoreFixture.with { store in
      let status = store.directory + "/status"
      let result = try ToolProcess.shell(
        preparation + #"{ sleep 0.3; "$0" "$1"; echo $? >"$2"; } | true"#, [store.path, status])
      #expect(result.error.isEmpty)
      #expect(try String(contentsOfFile: status, encoding: .utf8) == "141\n")
    }
  }

  // MARK: Retention meanwhile

  /// Removes a file when the first result comes, as the retention of a running job may.
  private struct RemovingResults: Results {
    let path: String

    func add(_ report: VerificationReport, _ verdict: Verdict, path: String) {
      #expect(path != self.path && verdict == .ok)
      try? FileManager.default.removeItem(atPath: self.path)
    }

    func finish(_ tally: Tally, _ level: VerificationLevel) {
      #expect(tally.count(.ok) == 2 && tally.count(.removed) == 1)
    }
  }

  @Test func storeWhoseFilesAreAllGoneIsNothingToVerify() {
    var tally = Tally()
    tally.add(.removed)
    #expect(tally.exitStatus == .cannotTell)
    #expect(tally.summary == "1 removed meanwhile")
  }

  @Test func fileThatRetentionRemovedMeanwhileIsNoFinding() throws {
    try StoreFixture.with(3) { store in
      var run = VerifyRun(
        verifier: Verifier(threads: 1), level: .quick,
        results: RemovingResults(path: store.paths[1]))
      #expect(run.verify([store.directory]) == .success)
    }
  }
}
