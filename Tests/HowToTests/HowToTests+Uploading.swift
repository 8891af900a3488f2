import CheckpointTesting
import CheckpointTraining
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// Goal: a checkpoint that is held, by the page's Swift or by its shell, survives retention until the
// hold ends, and its copy verifies; nothing but whole checkpoints is sent.
// Method: a manager that keeps one checkpoint saves while the copy is under way, in the same process
// or beside a shell that runs the block of the page.
extension HowToTests {
  @Test func retentionLeavesWhatIsBeingUploaded() throws {
    try withDirectory { directory in
      let run = try KeepsOne(directory + "/run")
      let copies = directory + "/copies"
      try FileManager.default.createDirectory(atPath: copies, withIntermediateDirectories: true)
      let first = try run.save(step: 1).path
      let digest = try stateDigest(of: run.trainer)
      var meanwhile: RetentionReport?
      let sent = try upload(directory + "/run", unless: { _ in false }) { path, name in
        // Training goes on while the file is sent.
        meanwhile = try run.save(step: 2).retention
        try sendCopy(path, name, to: copies)
      }
      #expect(sent == ["step-000000001.g000001.ckpt"])
      #expect(meanwhile?.removed == [])
      #expect(meanwhile?.warnings == ["\(first) is held by a reader and stays."])
      #expect(try run.save(step: 3).retention.removed.first == first)

      let copy = copies + "/" + sent[0]
      #expect(try CheckpointReader.open(path: copy).verify(.full).isIntact)
      #expect(try Program.run([Program.path(of: "ckpt-verify"), copies]).status == 0)
      // A checkpoint wherever it lies, and whatever it is called.
      let elsewhere = directory + "/weights from last week"
      try FileManager.default.moveItem(atPath: copy, toPath: elsewhere)
      var restored = Trainer()
      try CheckpointManager(directory: directory + "/other", saving: .manual)
        .resume(&restored, from: .path(elsewhere))
      #expect(try stateDigest(of: restored) == digest)
    }
  }

  @Test func onlyWholeCheckpointsAreSent() throws {
    try withDirectory { directory in
      let manager = try CheckpointManager(
        directory: directory, saving: .manual, options: StoreOptions(compression: .none))
      var paths: [String] = []
      for step in 1...3 {
        if case .saved(let receipt, _) = try manager.save(Trainer(), step: step) {
          paths.append(receipt.path)
        }
      }
      let unpublished = ".step-000000004.g000004.\(String(repeating: "a", count: 32)).tmp"
      try FileManager.default.copyItem(atPath: paths[2], toPath: directory + "/" + unpublished)
      let file = try FileHandle(forUpdating: URL(fileURLWithPath: paths[1]))
      try file.seek(toOffset: 5000)
      try file.write(contentsOf: Data(repeating: 0xa5, count: 16))
      try file.close()
      // Only its tensors tell.
      #expect(throws: Never.self) { try CheckpointReader.open(path: paths[1]) }
      let third = "step-000000003.g000003.ckpt"
      #expect(
        try upload(directory, unless: { _ in false }) { _, _ in } == [
          "step-000000001.g000001.ckpt", third,
        ])
      #expect(
        try upload(directory, unless: { $0 == third }) { _, _ in } == [
          "step-000000001.g000001.ckpt"
        ])
    }
  }

  @Test func aPinIsAHoldForLonger() throws {
    try withDirectory { directory in
      let run = try KeepsOne(directory)
      let first = try run.save(step: 1)
      try pin(CheckpointReader.open(path: first.path), in: directory)
      let second = try run.save(step: 2)
      #expect(second.retention.removed == [] && second.retention.warnings == [])
      #expect(FileManager.default.fileExists(atPath: first.path))
      try FileManager.default.removeItem(atPath: directory + "/.pin-\(first.identifier)")
      #expect(try run.save(step: 3).retention.removed == [first.path, second.path])
    }
  }

  @Test func withoutLocksWhatIsOpenStaysReadable() throws {
    let disk = SimulatedDisk()
    let run = try KeepsOne("/run", on: disk.device)
    let first = try run.save(step: 1).path
    disk.faultPlan = FaultPlan([.init(.lock, .error(ENOLCK), .always)])
    let reader = try CheckpointReader.open(path: first, on: disk.device)
    #expect(!reader.hold().isLocked)
    disk.faultPlan = FaultPlan()
    #expect(try run.save(step: 2).retention.removed == [first])
    #expect(try reader.read("weights").count == 4096)
    #expect(reader.verify(.full).isIntact)
  }

  /// The block of the page.
  private func script() throws -> String {
    let page = try String(
      contentsOf: Self.pages.appending(path: "upload-while-retention-runs.md"), encoding: .utf8)
    let scripts = parts(of: page) {
      $0 == "```sh"
    } to: {
      $0 == "```"
    }
    return try #require(scripts.first)
  }

  @Test(.enabled(if: Program.hasFlock))
  func theShellOfThePageHoldsWhatItCopies() throws {
    try copyWhileSaving(by: try script())
    // Of a checkpoint that is gone it makes nothing.
    try withDirectory { directory in
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true)
      let gone = directory + "/step-000000007.g000007.ckpt"
      let shell = try Program.run(["/bin/sh", "-c", try script(), "sh", gone, directory])
      #expect(shell.status != 0)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
    }
  }

  @Test(.enabled(if: Program.hasFlock))
  func flockOfAFileHoldsItAndMakesOneThatIsMissing() throws {
    let copy = Self.slowCopy + "cp \"$1\" \"$2\""
    try copyWhileSaving(by: "flock -s \"$1\" sh -c '\(copy)' sh \"$1\" \"$2\"")
    try withDirectory { directory in
      try KeepsOne(directory).save(step: 1)
      let gone = directory + "/step-000000007.g000007.ckpt"
      #expect(try Program.run(["/bin/sh", "-c", "flock -s \"$1\" true", "sh", gone]).status == 0)
      #expect(FileManager.default.fileExists(atPath: gone))
      let entries = try CheckpointStore(directory, for: .reading).entries()
      #expect(entries.first { $0.path == gone }?.problem?.code == .corrupted)
      #expect(try Program.run([Program.path(of: "ckpt-verify"), directory]).status == 1)
    }
  }

  /// Runs a script with a checkpoint and a directory; the manager saves while its `cp` waits.
  private func copyWhileSaving(by script: String) throws {
    try withDirectory { directory in
      let run = try KeepsOne(directory + "/run")
      let first = try run.save(step: 1).path
      let copies = directory + "/copies"
      try FileManager.default.createDirectory(atPath: copies, withIntermediateDirectories: true)
      let shell = try Program(
        ["/bin/sh", "-c", Self.slowCopy + script, "sh", first, copies],
        environment: ["MEANWHILE": directory])
      try shell.awaitFile(directory + "/begun")
      let meanwhile = try run.save(step: 2).retention
      #expect(meanwhile.removed == [])
      #expect(meanwhile.warnings == ["\(first) is held by a reader and stays."])
      try Data().write(to: URL(fileURLWithPath: directory + "/go"))
      #expect(try shell.end().status == 0)
      #expect(try run.save(step: 3).retention.removed.first == first)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: copies)
          == ["step-000000001.g000001.ckpt"])
      #expect(try Program.run([Program.path(of: "ckpt-verify"), copies]).status == 0)
    }
  }

  /// A `cp` that tells when it begins, and waits until it may; without single quotes, so that it can
  /// stand between two. (A program of our own would be refused as busy if another test forks.)
  private static let slowCopy = """
    cp() {
      : > "$MEANWHILE/begun"
      while [ ! -e "$MEANWHILE/go" ]; do sleep 0.01; done
      command cp "$@"
    }

    """
}
