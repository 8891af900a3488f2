import CheckpointTesting
import CheckpointTraining
import Foundation
import Testing

// Goal: what the how-to pages show is what compiles here, and it does what they say.
// Method: the Swift blocks of each page are compared with the marked parts of the sources beside
// this file; the parts are then run, one after the other: a child that another test starts has our
// locks for a moment.
@Suite("How-to pages", .serialized)
struct HowToTests {
  private static let sources = [
    "save-and-resume": "SaveAndResume.swift",
    "recover-after-a-crash": "RecoverAfterACrash.swift",
    "choose-settings": "ChooseSettings.swift",
    "know-what-changed": "KnowWhatChanged.swift",
    "requeue-on-a-cluster": "RequeueOnACluster.swift",
    "test-your-program": "TestYourProgram.swift",
    "adopt-in-an-existing-loop": "Adopting.swift",
    "prefetching-loaders": "PrefetchingLoaders.swift",
    "upload-while-retention-runs": "Uploading.swift",
    "permissions-for-a-team": "TeamPermissions.swift",
    "change-what-is-saved": "ChangingState.swift",
    "begin-from-another-run": "WarmStarts.swift",
    "go-back-to-health": "Health.swift",
    "watch-a-run": "Watching.swift",
    "plan-the-disk": "PlanningSpace.swift",
    "migrate": "Migrating.swift",
  ]
  private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  static let pages = tests.appending(path: "../../docs/how-to").standardizedFileURL

  /// The parts of `text` between lines that satisfy `begins` and the next that satisfies `ends`.
  func parts(
    of text: String, from begins: (Substring) -> Bool, to ends: (Substring) -> Bool
  ) -> [String] {
    var parts: [String] = []
    var part: [Substring]?
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if let lines = part {
        part = ends(line) ? nil : lines + [line]
        if ends(line) { parts.append(lines.joined(separator: "\n")) }
      } else if begins(line) {
        part = []
      }
    }
    return parts
  }

  private func blocks(of page: URL) throws -> [String] {
    parts(of: try String(contentsOf: page, encoding: .utf8)) {
      $0.hasPrefix("```swift")
    } to: {
      $0 == "```"
    }
  }

  @Test func everySwiftBlockOfAPageIsCompiled() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.pages.path)
      .filter { $0.hasSuffix(".md") }.map { String($0.dropLast(3)) }
    #expect(Set(names).isSuperset(of: Self.sources.keys))
    for name in names {
      let blocks = try blocks(of: Self.pages.appending(path: name + ".md"))
      guard let source = Self.sources[name] else {
        #expect(blocks.isEmpty, "\(name).md has Swift blocks that nothing compiles")
        continue
      }
      let text = try String(contentsOf: Self.tests.appending(path: source), encoding: .utf8)
      let snippets = parts(of: text) {
        $0 == "// snippet: \(name)"
      } to: {
        $0 == "// end of snippet"
      }
      #expect(!blocks.isEmpty)
      #expect(blocks == snippets, "\(name).md differs from Tests/HowToTests/\(source)")
    }
  }

  @Test func theReadmeShowsWhatAHowToCompiles() throws {
    let readme = Self.pages.appending(path: "../../README.md").standardizedFileURL
    let compiled = try blocks(of: Self.pages.appending(path: "save-and-resume.md"))
    let shown = try blocks(of: readme)
    #expect(!shown.isEmpty)
    #expect(Set(shown).isSubset(of: compiled))
  }

  func withDirectory(_ body: (String) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "checkpoint-how-to-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }  // what stays is temporary
    try body(directory.path)
  }

  @Test func theShortestProgramSavesAndResumes() throws {
    try withDirectory { directory in
      var trainer = Trainer()
      trainer.step = 8_990
      try train(&trainer, in: directory)
      let digest = try stateDigest(of: trainer)
      let names = try FileManager.default.contentsOfDirectory(atPath: directory)
      #expect(names.count { $0.hasSuffix(".ckpt") } == 3)
      var resumed = Trainer()
      try train(&resumed, in: directory)
      #expect(resumed.step == 10_000)
      #expect(try stateDigest(of: resumed) == digest)
    }
  }

  @Test func aClassWithPartsResumes() throws {
    try withDirectory { directory in
      let trainer = ClassTrainer()
      trainer.optimizer.decay = 0.5
      trainer.layers[2].weights[0] = 3
      do {
        let manager = try CheckpointManager(directory: directory, saving: .manual)
        report(try manager.stepCompleted(7, state: trainer))
        try manager.finish(saving: trainer, step: 7)
      }
      let resumed = ClassTrainer()
      let manager = try CheckpointManager(directory: directory, saving: .manual)
      #expect(try resume(resumed, with: manager) == 7)
      #expect(try stateDigest(of: resumed) == stateDigest(of: trainer))
    }
  }

  @Test func whatChangedIsTold() throws {
    try withDirectory { directory in
      var trainer = Trainer()
      let data = directory + "-data"
      defer { try? FileManager.default.removeItem(atPath: data) }  // what stays is temporary
      try Data([1, 2, 3]).write(to: URL(filePath: data))
      do {
        let manager = try makeManager(directory, Arguments(), data: [data])
        try resumeTelling(&trainer, with: manager)
        try manager.save(trainer, step: 3)
      }
      do {
        let manager = try makeManager(directory, Arguments(batchSize: 8), data: [data])
        try show(trainer, with: manager)
        try resumeTelling(&trainer, with: manager)
      }
      try Data([1, 2, 4]).write(to: URL(filePath: data))
      let manager = try makeManager(directory, Arguments(), data: [data])
      #expect(throws: CheckpointError.self) { try resumeTelling(&trainer, with: manager) }
    }
  }

  @Test func anActorTrains() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "checkpoint-how-to-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }  // what stays is temporary
    try await TrainingService(directory: directory.path).run(to: 200)
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(names.count { $0.hasSuffix(".ckpt") } == 2)
  }

  @Test func tiedAndTransposedTensorsComeBack() throws {
    let options = StoreOptions(device: SimulatedDisk().device)
    var model = TiedModel()
    model.columns[1] = [30, 40]
    do {
      let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
      try manager.save(model, step: 1)
    }
    var restored = TiedModel()
    let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
    try manager.resume(&restored, from: .latest)
    #expect(restored.columns == model.columns)
    #expect(restored.embedding == model.embedding)
  }

  @Test func settingsAndWaysBackWork() throws {
    try withDirectory { directory in
      var trainer = Trainer()
      do {
        let manager = try makeManager(directory: directory)
        try saveByHand(&trainer, manager)
        _ = trainer.trainStep()
        report(try manager.stepCompleted(1, state: trainer))
        try manager.finish(saving: trainer, step: 1)
      }
      var resumed = Trainer()
      let manager = try makeManager(directory: directory)
      try resumeOrExplain(&resumed, with: manager)
      #expect(resumed.step == 1)
      var old = Trainer()
      try goBack(to: 0, &old, with: manager)
      #expect(old.step == 0)
      var model = Model()
      try takeWeightsOnly(from: directory, &model, manager)
      #expect(model.weights == trainer.weights)
    }
  }
}
