import Foundation
import Testing

// Goal: before a run goes on, it tells what differs and what that means, and an extended run goes on
// along the same curve.
// Method: the real program, one argument changed at a time.

@Suite("What a resumed run was saved under", .serialized)
struct ContractTests {
  private static let length = ["--max_steps", "20"]

  /// The grade of a dry run with some arguments changed, and that of one difference.
  private func grade(
    _ program: TrainingProgram, _ more: [String]
  ) throws -> (status: Int32, grade: String?, differences: [String: String]) {
    let result = try program.train(
      Self.length + ["--resume_from_checkpoint", "--resume_check", "dry-run"] + more)
    let event = result.events("resume_check").first
    var differences: [String: String] = [:]
    for case let difference as [String: Any] in event?["differences"] as? [Any] ?? [] {
      if let name = difference["name"] as? String, let grade = difference["grade"] as? String,
        grade != "same"
      {
        differences[name] = grade
      }
    }
    return (result.status, event?["grade"] as? String, differences)
  }

  @Test func aDryRunGradesEachArgument() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(Self.length).status == 0)
    let names = program.checkpoints()
    let same = try grade(program, [])
    #expect(same.status == 0 && same.grade == "same" && same.differences.isEmpty, "\(same)")

    let harmless = [
      "save_steps": "7", "eval_steps": "30", "logging_steps": "3", "save_total_limit": "2",
      "threads": "1", "max_steps": "40", "save_strategy": "no", "max_minutes": "60",
    ]
    for (name, value) in harmless {
      let found = try grade(program, ["--" + name, value])
      #expect(found.status == 0 && found.grade == "harmless", "\(name): \(found)")
      #expect(found.differences == [name: "harmless"], "\(name): \(found)")
    }
    let changing = [
      "batch_size": "4", "learning_rate": "0.001", "warmup_steps": "5", "dropout": "0.2",
      "weight_decay": "0.2", "gradient_accumulation_steps": "2", "schedule_steps": "50",
      "min_learning_rate": "0",
    ]
    for (name, value) in changing {
      let found = try grade(program, ["--" + name, value])
      #expect(found.status == 0 && found.grade == "changes the trajectory", "\(name): \(found)")
      #expect(found.differences[name] == "changes the trajectory", "\(name): \(found)")
    }
    for (name, value) in [("n_layer", "2"), ("n_embd", "48"), ("seed", "9"), ("block_size", "16")] {
      let found = try grade(program, ["--" + name, value])
      #expect(found.status == 1 && found.grade == "refuse", "\(name): \(found)")
      #expect(found.differences[name] == "refuse", "\(name): \(found)")
    }
    #expect(program.checkpoints() == names)
  }

  @Test func aStrictCheckRefusesAndWarningTells() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(Self.length).status == 0)
    let more = ["--max_steps", "30", "--batch_size", "4", "--resume_from_checkpoint"]
    let strict = try program.train(more + ["--resume_check", "strict"])
    #expect(strict.status == 1)
    #expect(strict.errors.contains("batch_size: 8 → 4 (changes the trajectory)"))
    let warned = try program.train(more)
    #expect(warned.status == 0, "\(warned.errors)")
    #expect(warned.errors.contains("This changes the trajectory of the run: batch_size: 8 → 4"))
  }

  @Test func anExtendedRunGoesOnAlongTheSameCurve() throws {
    let (whole, extended) = (try TrainingProgram(), try TrainingProgram())
    defer { [whole, extended].forEach { $0.remove() } }
    let expected = try whole.train(["--max_steps", "60", "--schedule_steps", "30"])
    #expect(try extended.train(["--max_steps", "30"]).status == 0)
    let result = try extended.train(["--max_steps", "60", "--resume_from_checkpoint"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(!result.errors.contains("trajectory"))
    #expect(result.digest != nil && result.digest == expected.digest)
  }
}
