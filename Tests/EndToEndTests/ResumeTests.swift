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
    let expected = try whole.train()
    #expect(expected.status == 0, "\(expected.errors)")
    let digest = try #require(expected.digest)

    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix(state: seed)
    var killCount = 0
    var runCount = 0
    var finished: TrainingProgram.Result?
    while finished == nil, runCount < 400 {
      runCount += 1
      // Spread over start-up, training and saving; short enough that twenty fit into the run.
      let delay = Double.random(in: 0.005..<max(0.03, expected.seconds / 6), using: &generator)
      let isEnough = killCount >= 20
      let result = try killed.train(
        ["--resume_from_checkpoint", "--save_total_limit", "2"],
        killedAfter: isEnough ? nil : delay)
      if result.wasKilled {
        killCount += 1
        try requireSound(killed, result, seed: seed)
        // Once the run is nearly done, what is left is too short to be killed in: begin again.
        if killCount < 20, killed.checkpoints().last.map({ $0 > "step-000000180" }) ?? false {
          try FileManager.default.removeItem(atPath: killed.store)
        }
      } else if isEnough {
        finished = result
      } else {
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.digest == digest, "seed \(seed), after \(killCount) kills")
        try FileManager.default.removeItem(atPath: killed.store)
      }
    }
    #expect(killCount >= 20, "seed \(seed)")
    #expect(finished?.status == 0, "\(finished?.errors ?? "")")
    #expect(finished?.digest == digest, "seed \(seed)")
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
    #expect(result.errors.contains("The data is not the data"))
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
