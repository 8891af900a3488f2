import CheckpointEngine
import Foundation
import Testing

// Goal: what a run does when the operating system refuses.
// What the system sees of a save is in RealBinaryTests.

@Suite("The operating system", .serialized)
struct SystemTests {
  /// Whether this user may mount a file system.
  private static let canMount: Bool = {
    guard let program = try? TrainingProgram() else { return false }
    defer { program.remove() }
    let path = program.directory.path
    let mount = try? TrainingProgram.runPath(
      "/usr/bin/mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path])
    guard mount?.status == 0 else { return false }
    _ = try? TrainingProgram.runPath("/usr/bin/umount", [path])
    return true
  }()

  @Test func aSecondWriterWaitsThenNamesTheHolder() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let first = Process()
    first.executableURL = URL(filePath: try TrainingProgram.executable("train-lm"))
    first.arguments = program.arguments(["--max_steps", "1000000"])
    first.standardOutput = FileHandle.nullDevice
    first.standardError = FileHandle.nullDevice
    try first.run()
    defer {
      // The thread that started it blocks every other signal, and so does the child.
      kill(first.processIdentifier, SIGKILL)
      first.waitUntilExit()
    }
    while program.checkpoints().isEmpty, first.isRunning { usleep(10_000) }

    let second = try program.train(["--resume_from_checkpoint", "--lock_timeout", "1"])
    #expect(second.status == 1)
    #expect(second.errors.contains("process \(first.processIdentifier)"), "\(second.errors)")
    #expect(second.seconds >= 1 && second.seconds < 5)
    #expect(second.output.isEmpty)
    #expect(first.isRunning)
  }

  @Test(.enabled(if: canMount, "needs the right to mount a small file system"))
  func aFullDiskCostsOneSaveAndNothingElse() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    try FileManager.default.createDirectory(
      atPath: program.store, withIntermediateDirectories: true)
    let mount = try TrainingProgram.runPath(
      "/usr/bin/mount", ["-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", program.store])
    #expect(mount.status == 0, "\(mount.errors)")
    defer { _ = try? TrainingProgram.runPath("/usr/bin/umount", [program.store]) }
    // Leaves room for a few checkpoints of about 250 KB, not for twenty.
    let full = try program.train(["--save_steps", "10"])
    #expect(full.status == 1, "the last save was due and failed")
    #expect(full.events("done").count == 1, "training goes on")
    let failed = try #require(full.events("save_failed").first)
    #expect(failed["code"] as? String == "outOfSpace")
    let message = try #require(failed["error"] as? String)
    for part in ["needed at most", "were written", "were free", "Earlier checkpoints are intact"] {
      #expect(message.contains(part), "\(message)")
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: program.store)
    #expect(!names.contains { $0.hasSuffix(".tmp") }, "\(names)")
    #expect(try TrainingProgram.run("ckpt-verify", [program.store]).status == 0)

    // Once there is room again, the run saves again.
    let oldest = try #require(program.checkpoints().first)
    for name in program.checkpoints().dropFirst(2).dropLast() {
      try FileManager.default.removeItem(atPath: program.path(name))
    }
    let again = try program.train(["--resume_from_checkpoint", "--save_total_limit", "2"])
    #expect(again.status == 0, "\(again.errors)")
    #expect(!again.events("saved").isEmpty)
    #expect(again.events("save_failed").isEmpty)
    #expect(!program.checkpoints().contains(oldest))
    #expect(again.digest == full.digest)
  }

  @Test func eventsThatNobodyGotAreNoSuccess() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let binary = try TrainingProgram.executable("train-lm")
    let words = program.arguments(["--max_steps", "10"]).map { "'\($0)'" }.joined(separator: " ")
    for redirection in [">/dev/full", ">&-"] {
      try? FileManager.default.removeItem(atPath: program.store)
      let result = try TrainingProgram.runPath(
        "/bin/sh", ["-c", "'\(binary)' \(words) \(redirection)"])
      #expect(result.status == 1, "\(redirection): \(result.errors)")
      // Nothing of it may end up in a file of the store.
      let lock = try String(contentsOfFile: program.path(".lock"), encoding: .utf8)
      #expect(lock.allSatisfy { $0.isNumber || $0 == "\n" }, "\(redirection): \(lock)")
      #expect(try TrainingProgram.run("ckpt-verify", [program.store]).status == 0)
    }
  }

  @Test func theLastStepIsSavedWhateverTheInterval() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let result = try program.train(["--max_steps", "13"])
    #expect(result.events("saved").compactMap { $0["step"] as? Int } == [10, 13])
    #expect(result.status == 0)
  }

  @Test func aDirectoryThatCannotBeWrittenIsSaidBeforeTraining() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    _ = FileManager.default.createFile(atPath: program.store, contents: Data())
    let result = try program.train()
    #expect(result.status == 1)
    #expect(result.output.isEmpty)
    #expect(result.errors.contains(program.store))
  }
}

@Suite("Learning", .serialized)
struct LearningTests {
  /// The bound of the project is 0.80 at the end of the default run; a quarter of it is enough.
  @Test func theDefaultModelLearnsTheDocumentation() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let docs = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs").path
    let result = try TrainingProgram.run(
      "train-lm",
      ["--data", docs, "--output_dir", program.store, "--max_steps", "500", "--save_steps", "250"],
      timeout: 300)
    #expect(result.status == 0, "\(result.errors)")
    let done = try #require(result.events("done").first)
    let loss = try #require(done["eval_loss"] as? Double)
    let entropy = try #require(done["unigram_entropy"] as? Double)
    #expect(loss <= 0.80 * entropy, "held-out loss \(loss), unigram entropy \(entropy)")
  }
}
