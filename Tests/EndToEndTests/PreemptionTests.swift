import CheckpointEngine
import Foundation
import Testing

// Goal: a run that is asked to stop, any number of times, saves, exits with 75, and ends with the
// bits of a run that was left alone.
// Method: the real program, real signals at random moments.

@Suite("A preempted run", .serialized)
struct PreemptionTests {
  private static let length = [
    "--max_steps", "3000", "--eval_steps", "1500", "--save_steps", "1000",
  ]
  private static let again =
    length + ["--resume_from_checkpoint", "--save_on_preemption", "--save_total_limit", "2"]

  @Test func stoppedTwentyTimesEndsWithTheBitsOfAnUninterruptedRun() throws {
    let (whole, stopped) = (try TrainingProgram(), try TrainingProgram())
    defer { [whole, stopped].forEach { $0.remove() } }
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix(state: seed)
    var steps: [Int] = []
    for stop in 1...20 {
      let delay = Double.random(in: 0.005..<0.15 * TrainingProgram.patience, using: &generator)
      let signal = [SIGTERM, SIGINT, SIGUSR1][stop % 3]
      // Whether training waits for its saves changes nothing in what comes of them.
      let mode = [[], ["--async_save"], ["--async_save", "postpone"]][stop / 3 % 3]
      let result = try stopped.train(Self.again + mode, killedAfter: delay, by: signal)
      // Before the program watches, a signal does what it always does.
      if result.wasKilled {
        #expect(result.events("saved").isEmpty, "seed \(seed), stop \(stop)")
        continue
      }
      #expect(result.status == 75, "seed \(seed), stop \(stop): \(result.errors)")
      let event = try #require(result.events("stopped").first, "seed \(seed), stop \(stop)")
      #expect(event["saved"] as? Bool == true && event["signal"] as? Int == Int(signal))
      let step = try #require(event["step"] as? Int)
      if step > 0 { try requireSaved(step, stopped, "seed \(seed), stop \(stop)") }
      steps.append(step)
    }
    #expect(steps == steps.sorted() && Set(steps).count >= 4, "seed \(seed): \(steps)")
    let finished = try stopped.train(Self.again)
    #expect(finished.status == 0, "seed \(seed): \(finished.errors)")
    let expected = try whole.train(Self.length)
    #expect(finished.digest != nil && finished.digest == expected.digest, "seed \(seed)")
  }

  private func requireSaved(_ step: Int, _ program: TrainingProgram, _ comment: Comment) throws {
    let newest = try #require(program.checkpoints().last, comment)
    let reader = try CheckpointReader.open(path: program.path(newest))
    #expect(reader.header.step == UInt64(step), comment)
    #expect(reader.verify(.full).isDamaged == false, comment)
  }

  @Test func withoutBeingAskedForNoSignalIsCaught() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    // A thread that starts a process may have blocked the signal, and the process inherits that.
    let unblocking = """
      import os, signal, sys
      signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
      os.execv(sys.argv[1], sys.argv[1:])
      """
    let words = program.arguments(["--max_steps", "100000"])
    let trainer = try TrainingProgram.executable("train-lm")
    let result = try TrainingProgram.runPath(
      "/usr/bin/env", ["python3", "-c", unblocking, trainer] + words, killedAfter: 1, by: SIGTERM)
    #expect(result.wasKilled && result.status == SIGTERM)
  }

  @Test func theTimeLimitStopsTheRunAndTheNextGoesOn() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let limited = ["--max_steps", "1000000", "--max_minutes", "0.01", "--resume_from_checkpoint"]
    let first = try program.train(limited)
    #expect(first.status == 75, "\(first.errors)")
    #expect(first.events("stopped").first?["reason"] as? String == "time_limit")
    let step = try #require(first.events("stopped").first?["step"] as? Int)
    let second = try program.train(limited)
    #expect(second.status == 75)
    #expect(second.events("resumed").first?["step"] as? Int == step)
  }

  @Test func theBestCheckpointStaysAndIsGoneBackToAtTheEnd() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    // Greater is better: the loss falls, so that the first evaluation has the best value.
    let result = try program.train([
      "--eval_steps", "20", "--save_strategy", "steps", "--save_steps", "10",
      "--save_total_limit", "2", "--load_best_model_at_end", "--greater_is_better",
    ])
    #expect(result.status == 0, "\(result.errors)")
    let losses = result.events("eval").compactMap { event in
      (event["eval_loss"] as? Double).map { (step: event["step"] as? Int, loss: $0) }
    }
    let best = try #require(losses.max { $0.loss < $1.loss })
    let loaded = try #require(result.events("best_loaded").first)
    #expect(loaded["step"] as? Int == best.step)
    #expect(program.checkpoints().count == 3)
    // What was loaded is what was saved then.
    let resumed = try program.train(["--resume_from_checkpoint", "\(best.step ?? 0)"])
    #expect(
      resumed.events("resumed").first?["state_sha256"] as? String
        == loaded["state_sha256"] as? String)
  }

  @Test func savesFollowTheStrategy() throws {
    for (strategy, more) in [("best", ["--eval_steps", "50"]), ("no", []), ("epoch", [])] {
      let program = try TrainingProgram()
      defer { program.remove() }
      let result = try program.train(["--save_strategy", strategy] + more)
      #expect(result.status == 0, "\(strategy): \(result.errors)")
      let saved = result.events("saved").compactMap { $0["step"] as? Int }
      #expect(saved.last == 200, "\(strategy): the last step is always saved")
      switch strategy {
      case "no": #expect(saved == [200])
      case "best": #expect(saved.allSatisfy { $0 % 50 == 0 } && saved.count > 1, "\(saved)")
      default: #expect(saved.count > 1 && saved != [200], "\(saved)")
      }
    }
  }
}
