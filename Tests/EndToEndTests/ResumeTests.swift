import CheckpointEngine
import Foundation
import Testing

// Goal: a run that is killed and resumed, any number of times, ends with the bits of a run that was
// left alone, and never loses what was acknowledged.
// Method: the real program, SIGKILL at random moments, the digest of the whole state at the end.

@Suite("A killed run", .serialized)
struct ResumeTests {
  @Test func killedTwentyTimesEndsWithTheBitsOfAnUninterruptedRun() throws {
    let (whole, killed) = (try TrainingProgram(), try TrainingProgram())
    defer { [whole, killed].forEach { $0.remove() } }
    // Twenty delays of at most 0.15 s fall into one run, which is never begun again: undisturbed it
    // takes several times as long as all of them together.
    let length = ["--max_steps", "4000", "--eval_steps", "2000"]
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix(state: seed)
    let arguments = length + ["--resume_from_checkpoint", "--save_total_limit", "2"]
    var resumedSteps: Set<Int> = []
    // On a machine that is busy, or under a sanitizer, a program has not got on yet after so long.
    var delayMax = 0.15 * TrainingProgram.patience
    for kill in 1...20 {
      let delay = Double.random(in: 0.005..<delayMax, using: &generator)
      let mode = kill.isMultiple(of: 2) ? ["--async_save"] : []
      let result = try killed.train(arguments + mode, killedAfter: delay)
      #expect(result.wasKilled, "seed \(seed), kill \(kill): \(result.errors)")
      if result.events("saved").isEmpty, delay > delayMax / 2 { delayMax *= 1.5 }
      resumedSteps.formUnion(result.events("resumed").compactMap { $0["step"] as? Int })
      try requireSound(killed, result, seed: seed)
    }
    let finished = try killed.train(arguments)
    resumedSteps.formUnion(finished.events("resumed").compactMap { $0["step"] as? Int })
    #expect(finished.status == 0, "seed \(seed): \(finished.errors)")
    let expected = try whole.train(length)
    #expect(expected.status == 0, "\(expected.errors)")
    #expect(finished.digest != nil && finished.digest == expected.digest, "seed \(seed)")
    // The kills did interrupt a run that was getting on, and not the same start twenty times.
    #expect(resumedSteps.count >= 4, "seed \(seed): \(resumedSteps.sorted())")
  }

  /// At any kill point: at most two checkpoints and one more that was just published, and at least
  /// the last acknowledged one intact.
  private func requireSound(
    _ program: TrainingProgram, _ result: TrainingProgram.Result, seed: UInt64
  ) throws {
    let names = program.checkpoints()
    #expect(names.count <= 3, "seed \(seed): \(names)")
    let acknowledged = result.events("saved").compactMap { $0["generation"] as? Int }.max()
    let verifier = Verifier()
    let intact = names.filter { verifier.verify(program.path($0)).isIntact }
    #expect(intact == names, "seed \(seed)")
    if let acknowledged {
      let newest = try #require(intact.last, "seed \(seed): nothing left")
      let generation = try CheckpointReader.open(path: program.path(newest)).header.generation
      #expect(generation >= UInt64(acknowledged), "seed \(seed)")
    }
  }

  /// Runs ckpt diff.
  private func diff(_ arguments: String...) throws -> TrainingProgram.Result {
    try TrainingProgram.run("ckpt", ["diff"] + arguments)
  }

  @Test func diffTellsARunThatWasInterruptedFromNoOther() throws {
    let (whole, killed) = (try TrainingProgram(), try TrainingProgram())
    defer { [whole, killed].forEach { $0.remove() } }
    #expect(try whole.train(["--max_steps", "60"]).status == 0)
    // Killed in the middle, again and again, until it comes to its end.
    for _ in 1...100 {
      let arguments = ["--max_steps", "60", "--resume_from_checkpoint"]
      let result = try killed.train(arguments, killedAfter: 0.1 * TrainingProgram.patience)
      if !result.wasKilled { break }
    }
    #expect(try killed.train(["--max_steps", "60", "--resume_from_checkpoint"]).status == 0)
    let last = try #require(whole.checkpoints().last)
    let same = try diff("--exact", whole.path(last), killed.store)
    #expect(same.status == 0, "\(same.output)\(same.errors)")
    #expect(same.output.contains("are the same, bit for bit: step 60"))
    let other = try diff("--exact", whole.path(whole.checkpoints()[3]), killed.store)
    #expect(other.status == 1)
    #expect(other.output.contains("model/tok_embd.weight") && other.output.contains("40 -> 60"))
    let measured = try diff(whole.path(whole.checkpoints()[3]), killed.store)
    #expect(measured.status == 1 && measured.output.contains("max ulp"))
  }

  @Test func anyNumberOfThreadsGivesTheSameBits() throws {
    let digests = try ["1", "2", "5"].map { threads in
      let program = try TrainingProgram()
      defer { program.remove() }
      let result = try program.train(["--threads", threads, "--max_steps", "60"])
      #expect(result.status == 0, "\(result.errors)")
      return result.digest
    }
    #expect(digests[0] != nil)
    #expect(Set(digests).count == 1)
  }

  @Test func everyStepOfTheRunDecidesTheDigest() throws {
    let digests = try [["--max_steps", "60"], ["--max_steps", "60", "--seed", "2"]].map { more in
      let program = try TrainingProgram()
      defer { program.remove() }
      return try program.train(more).digest
    }
    #expect(digests[0] != nil && digests[1] != nil && digests[0] != digests[1])
  }

  @Test func otherDataIsRefused() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(["--max_steps", "20"]).status == 0)
    let text = program.directory.appending(path: "text.txt")
    // The same characters in another order: the model has the same shape.
    try String(contentsOf: text, encoding: .utf8).replacingOccurrences(of: "save", with: "vase")
      .write(to: text, atomically: true, encoding: .utf8)
    let result = try program.train(["--resume_from_checkpoint"])
    #expect(result.status == 1)
    #expect(result.errors.contains("  data: ") && result.errors.contains("(refuse)"))
    #expect(result.errors.contains("Give the same arguments and data"))
  }

  @Test func anotherArchitectureIsRefusedWithTheListOfTensors() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(["--max_steps", "20"]).status == 0)
    let result = try program.train(["--resume_from_checkpoint", "--n_embd", "48"])
    #expect(result.status == 1)
    #expect(
      result.errors.contains("'model/blocks.0.attn.qkv.weight' was saved as float32 [96, 32]"))
  }

  @Test func aFreshRunIsRefusedWhereCheckpointsAreUnlessAskedFor() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(["--max_steps", "20"]).status == 0)
    let before = program.checkpoints()
    let refused = try program.train(["--max_steps", "20"])
    #expect(refused.status == 1)
    #expect(refused.errors.contains("already holds checkpoints"))
    #expect(program.checkpoints() == before)

    let asked = try program.train(["--max_steps", "20", "--overwrite_output_dir"])
    #expect(asked.status == 0, "\(asked.errors)")
    #expect(asked.events("saved").compactMap { $0["generation"] as? Int } == [3, 4])
    #expect(Set(before).isSubset(of: program.checkpoints()))
    let resumed = try program.train(["--resume_from_checkpoint", "--max_steps", "30"])
    #expect(resumed.events("resumed").first?["generation"] as? Int == 4, "\(resumed.errors)")
  }
}

/// A small seeded generator, so that a failure can be replayed from the seed that is printed.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
