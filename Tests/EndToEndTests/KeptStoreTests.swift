import CheckpointEngine
import Foundation
import Testing

// Goal: a run that an older `train-lm` began is resumed from exactly the state that it saved.
// Method: a store that was kept from a release, with its data, its arguments, and the digests of
// then. It is copied, because a program that resumes writes into it.

@Suite("A store kept from train-lm 0.1.0")
struct KeptStoreTests {
  /// What the release said of its run.
  private struct Record: Decodable {
    struct Checkpoint: Decodable {
      var name: String
      var step: Int
      var stateSha256: String
    }

    var arguments: [String]
    var checkpoints: [Checkpoint]
    var lastStep: Int
    var lastStateSha256: String
  }

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures/v1/train-lm-0.1.0")

  private let record: Record
  private let program: TrainingProgram

  init() throws {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    record = try decoder.decode(
      Record.self, from: Data(contentsOf: Self.folder.appending(path: "run.json")))
    program = try TrainingProgram()
    try FileManager.default.copyItem(
      atPath: Self.folder.appending(path: "store").path, toPath: program.store)
  }

  /// Resumes the copy with the arguments of then and some more; the last of a kind counts.
  private func resume(_ more: [String]) throws -> TrainingProgram.Result {
    let data = Self.folder.appending(path: "data.txt").path
    return try TrainingProgram.run(
      "train-lm",
      ["--data", data, "--output_dir", program.store] + record.arguments + more)
  }

  @Test func everyCheckpointOfItVerifies() throws {
    defer { program.remove() }
    #expect(program.checkpoints() == record.checkpoints.map(\.name))
    let verified = try TrainingProgram.run("ckpt-verify", [program.store])
    #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
  }

  @Test func whatIsRestoredIsWhatWasSaved() throws {
    defer { program.remove() }
    // The newest last: resuming from an older one writes a branch beside it.
    for checkpoint in record.checkpoints {
      let result = try resume([
        "--resume_from_checkpoint", "\(checkpoint.step)", "--max_steps", "\(checkpoint.step)",
      ])
      #expect(result.status == 0, "\(result.errors)")
      let resumed = try #require(result.events("resumed").first)
      #expect(resumed["step"] as? Int == checkpoint.step)
      #expect(resumed["state_sha256"] as? String == checkpoint.stateSha256)
    }
  }

  @Test func theRunGoesOnToItsEnd() throws {
    defer { program.remove() }
    let result = try resume(["--resume_from_checkpoint"])
    #expect(result.status == 0, "\(result.errors)")
    let resumed = try #require(result.events("resumed").first)
    #expect(resumed["step"] as? Int == record.checkpoints.last?.step)
    #expect((resumed["skipped"] as? [Any])?.isEmpty == true)
    let done = try #require(result.events("done").first)
    #expect(done["step"] as? Int == record.lastStep)
    // True as long as the training program calculates as it did then; the digests above must stay.
    #expect(result.digest == record.lastStateSha256)
    #expect(try TrainingProgram.run("ckpt-verify", [program.store]).status == 0)
  }

  /// The headers of the store's checkpoints, oldest first.
  private func headers() throws -> [CheckpointHeader] {
    try CheckpointStore(program.store, for: .reading).entries().reversed().compactMap(\.header)
  }

  @Test func aRunThatGoesOnWritesTheVersionOfToday() throws {
    defer { program.remove() }
    #expect(try headers().allSatisfy { $0.formatVersion == .v1 })
    let more = ["--resume_from_checkpoint", "--save_steps", "10", "--save_total_limit", "100"]
    #expect(try resume(more).status == 0)
    let versions = try headers().map(\.formatVersion)
    let oldCount = record.checkpoints.count
    #expect(versions.prefix(oldCount).allSatisfy { $0 == .v1 } && versions.count > oldCount)
    #expect(versions.dropFirst(oldCount).allSatisfy { $0 == .current })
    // And is resumed from either.
    #expect(try resume(more).status == 0)
  }

  @Test func migratedItIsTheSameRun() throws {
    defer { program.remove() }
    let before = try headers()
    let migrated = try TrainingProgram.run("ckpt-migrate", ["--in-store", program.store])
    #expect(migrated.status == 0, "\(migrated.output)\(migrated.errors)")
    let after = try headers()
    #expect(after.allSatisfy { $0.formatVersion == .v2 })
    #expect(after.map(\.checkpointIdentifier) == before.map(\.checkpointIdentifier))
    #expect(program.checkpoints() == record.checkpoints.map(\.name))
    for checkpoint in record.checkpoints {
      let result = try resume([
        "--resume_from_checkpoint", "\(checkpoint.step)", "--max_steps", "\(checkpoint.step)",
      ])
      let resumed = try #require(result.events("resumed").first, "\(result.errors)")
      #expect(resumed["state_sha256"] as? String == checkpoint.stateSha256)
    }
    let result = try resume(["--resume_from_checkpoint"])
    #expect(result.status == 0 && result.digest == record.lastStateSha256, "\(result.errors)")
  }
}
