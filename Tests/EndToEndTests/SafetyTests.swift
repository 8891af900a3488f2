import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#endif

// Goal: what `train-lm` offers for when something goes wrong does what its help says.
// Method: the real program on real files; what went wrong is real as well.
@Suite("When something goes wrong", .serialized)
struct SafetyTests {
  private static let short = ["--max_steps", "40", "--eval_steps", "10"]

  private func names(_ program: TrainingProgram) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: program.store)) ?? [])
      .filter { $0.hasPrefix("step-") }.sorted()
  }

  @Test func aWarmStartTakesTheModelAndAResumeGoesOn() throws {
    let base = try TrainingProgram()
    let program = try TrainingProgram()
    defer {
      base.remove()
      program.remove()
    }
    // The same text, so that the vocabulary is the same.
    #expect(try base.train(["--max_steps", "150"]).status == 0)
    let fresh = try program.train(Self.short + ["--max_steps", "1", "--logging_steps", "1"])
    try FileManager.default.removeItem(atPath: program.store)
    let arguments = ["--init_from", base.store, "--resume_from_checkpoint"]
    let first = try program.train(arguments + ["--max_steps", "20", "--logging_steps", "1"])
    #expect(first.status == 0, "\(first.errors)")
    let event = try #require(first.events("warm_started").first)
    #expect((event["restored"] as? [String])?.allSatisfy { $0.hasPrefix("model/") } == true)
    func loss(_ result: TrainingProgram.Result) throws -> Double {
      try #require(result.events("step").first?["loss"] as? Double)
    }
    #expect(try loss(first) < loss(fresh) - 0.5)
    #expect(first.events("started").count == 1)
    // The same command again goes on, and begins with nobody's model.
    let second = try program.train(arguments + ["--max_steps", "40"])
    #expect(second.events("warm_started").isEmpty)
    #expect(second.events("resumed").first?["step"] as? Int == 20)
  }

  @Test func aModelThatDoesNotFitIsRefused() throws {
    let base = try TrainingProgram()
    defer { base.remove() }
    #expect(try base.train(["--max_steps", "2"]).status == 0)
    let other = base.directory.appending(path: "other").path
    let result = try base.train(
      ["--output_dir", other, "--init_from", base.store, "--n_embd", "48"])
    #expect(result.status == 1)
    #expect(result.errors.contains("model/tok_embd.weight"), "\(result.errors)")
  }

  @Test func aRunThatDivergesLeavesWhatItHasComeTo() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(Self.short).status == 0)
    let diverging =
      ["--max_steps", "80", "--learning_rate", "1e30", "--schedule_steps", "1000"]
      + ["--save_strategy", "no", "--resume_from_checkpoint"]
    let result = try program.train(diverging)
    #expect(result.status == 1 && result.errors.contains("diverged"), "\(result.errors)")
    let path = try #require(result.events("emergency").first?["path"] as? String)
    #expect(path.hasSuffix(".ckpt.emergency"))
    #expect(try TrainingProgram.run("ckpt-verify", [path]).status == 0)
    // The next one goes on from where all was well.
    let next = try program.train(["--max_steps", "50", "--resume_from_checkpoint"])
    #expect(next.status == 0 && next.events("resumed").first?["step"] as? Int == 40)
    #expect(names(program).contains { $0.hasSuffix(".emergency") })
  }

  @Test func anUnhealthyRunGoesBack() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let healthy = ["--health_check", "--save_total_limit", "2"]
    #expect(try program.train(["--max_steps", "60"] + healthy).status == 0)
    // A rate that is far too high: the loss explodes, and stays a number.
    let spoilt = try program.train(
      [
        "--max_steps", "100", "--learning_rate", "3", "--schedule_steps", "1000", "--warmup_steps",
        "0",
      ]
        + ["--resume_from_checkpoint"] + healthy)
    let reasons = spoilt.events("saved").compactMap { $0["unhealthy"] as? String }
    #expect(!reasons.isEmpty, "\(spoilt.output)")
    let back = try program.train(
      ["--max_steps", "70", "--resume_from_checkpoint", "healthy"] + healthy)
    #expect(back.status == 0)
    let event = try #require(back.events("resumed").first)
    #expect((event["step"] as? Int).map { $0 >= 60 } == true)
    #expect(((event["skipped"] as? [Any])?.count ?? 0) > 0)
    #expect(back.events("saved").allSatisfy { $0["unhealthy"] is NSNull })
  }

  @Test func aResumeIsValidated() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(Self.short).status == 0)
    let result = try program.train(
      ["--max_steps", "41", "--resume_from_checkpoint", "--validate_resume", "--threads", "1"])
    #expect(result.status == 0)
    #expect(result.events("resumed").first?["validated"] is Double)
  }

  @Test func damageIsSetAsideOnce() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(Self.short).status == 0)
    let newest = try #require(program.checkpoints().last)
    try program.flipByte(of: newest, at: 5000)
    let arguments = ["--max_steps", "40", "--resume_from_checkpoint"]
    let dry = try program.train(arguments + ["--resume_check", "dry-run", "--set_aside_damaged"])
    #expect(dry.status == 0 && names(program).contains(newest))
    let first = try program.train(arguments + ["--set_aside_damaged"])
    let event = try #require(first.events("resumed").first)
    #expect((event["set_aside"] as? [String])?.map { $0.hasSuffix(newest + ".damaged") } == [true])
    let second = try program.train(arguments)
    #expect((second.events("resumed").first?["skipped"] as? [Any])?.isEmpty == true)
    #expect(second.digest == first.digest)
  }

  /// The sizes of the checkpoints.
  private func byteCount(of program: TrainingProgram) throws -> [Int] {
    try program.checkpoints().map { name in
      let attributes = try FileManager.default.attributesOfItem(atPath: program.path(name))
      return attributes[.size] as? Int ?? 0
    }
  }

  @Test func theBudgetHoldsAfterEachSave() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(["--max_steps", "10"]).status == 0)
    let size = try byteCount(of: program).reduce(0, +)
    let budget = 7 * size / 2
    let result = try program.train(
      ["--max_steps", "100", "--save_byte_budget", "\(budget)", "--resume_from_checkpoint"])
    #expect(result.status == 0)
    #expect(result.events("saved").count == 9)
    let sizes = try byteCount(of: program)
    #expect(sizes.reduce(0, +) <= budget && sizes.count == 3)
    for word in ["0x10", "-1", "G", "1.5G"] {
      #expect(try program.train(["--save_byte_budget", word]).status == 64)
    }
  }

  @Test func aDryRunIsDoneBesideTheRunAndLeavesNothing() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let dry = ["--resume_check", "dry-run", "--resume_from_checkpoint"]
    #expect(try program.train(dry).status == 0)
    #expect(!FileManager.default.fileExists(atPath: program.store))
    #expect(try program.train(Self.short).status == 0)
    // Somebody has it open for writing.
    let lock = unsafe open(program.path(".lock"), O_RDWR)
    defer { close(lock) }
    #expect(flock(lock, LOCK_EX | LOCK_NB) == 0)
    #expect(try program.train(["--resume_from_checkpoint"]).status == 1)
    #expect(try program.train(dry).status == 0)
  }

  /// Whether this process may mount file systems.
  private static let canMount: Bool = {
    #if os(Linux)
      let directory = NSTemporaryDirectory() + "mount-\(UUID().uuidString)"
      try? FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true)
      defer { unsafe rmdir(directory) }
      guard unsafe mount("none", directory, "tmpfs", 0, "size=64k") == 0 else { return false }
      unsafe umount(directory)
      return true
    #else
      return false
    #endif
  }()

  #if os(Linux)
    @Test(.enabled(if: canMount)) func aFullDiskIsWaitedFor() throws {
      let program = try TrainingProgram()
      defer { program.remove() }
      try FileManager.default.createDirectory(
        atPath: program.store, withIntermediateDirectories: true)
      try #require(unsafe mount("none", program.store, "tmpfs", 0, "size=1m") == 0)
      defer { unsafe umount2(program.store, Int32(MNT_DETACH)) }
      let filler = program.path("filler")
      // What is left does not hold a checkpoint.
      try Data(count: 1000 << 10).write(to: URL(filePath: filler))
      let full = try program.train(Self.short)
      #expect(full.status == 1 && !full.events("save_failed").isEmpty)
      #expect(full.errors.contains("may need"), "\(full.errors)")
      let stopped = try program.train(Self.short + ["--on_full_disk", "stop"])
      #expect(stopped.status == 1 && stopped.events("done").isEmpty)
      #expect(try program.train(Self.short + ["--space_check", "refuse"]).status == 1)
      // Somebody makes room while it waits.
      let maker = Thread {
        sleep(4)
        unsafe unlink(filler)
      }
      maker.start()
      let waited = try program.train(Self.short + ["--on_full_disk", "wait"])
      #expect(waited.status == 0, "\(waited.errors)")
      #expect(!waited.events("waiting_for_space").isEmpty)
      #expect(waited.events("saved").count == 4 && waited.events("save_failed").isEmpty)
    }
  #endif
}
