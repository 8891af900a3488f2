import CheckpointTraining
import Foundation
import Testing

// Goal: what the versions of the page saved resumes in its program with equal values, whatever scope it is
// in, and what cannot be migrated is refused as the page says, the file untouched.
// Method: types that save what the older versions did; real files, since the page opens them by itself.
extension HowToTests {
  @Test func whatOlderVersionsSavedResumesInTheNewest() throws {
    try withDirectory { directory in
      let path = try saved(Twin(first: LayerOfVersion1(), second: LayerOfVersion2()), directory)
      let before = try Data(contentsOf: URL(fileURLWithPath: path))
      var twin = Twin(first: AttentionLayer(), second: AttentionLayer())
      do {
        let training = try CheckpointManager(directory: directory, saving: .manual)
        #expect(try fits(twin, directory))
        var other = twin
        try rehearse(&other, directory)
        #expect(try stateDigest(of: other) == stateDigest(of: Twin.expected))
        try training.finish()
      }
      let manager = try CheckpointManager(directory: directory, saving: .manual)
      let result = try manager.resume(&twin, from: .latest)
      // As if this version had saved it.
      #expect(try stateDigest(of: twin) == stateDigest(of: Twin.expected))
      #expect(twin.first.q == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
      #expect(twin.first.k.first == 16 && twin.first.v.last == 47)
      #expect(twin.first.output == (0..<16).map { Float(Double($0) / 3) })
      #expect(twin.first.scale == [1, 1, 1, 1] && twin.first.dropout == 0.1)
      #expect(result.checkpoint?.step == 7 && result.skipped.isEmpty)
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
      // The next save is of the newest version, and resumes without any step.
      try manager.save(twin, step: 8)
      var again = Twin(first: AttentionLayer(), second: AttentionLayer())
      #expect(try manager.resume(&again, from: .latest).checkpoint?.step == 8)
      #expect(try stateDigest(of: again) == stateDigest(of: twin))
    }
  }

  @Test func whatANewerVersionSavedIsRefused() throws {
    try withDirectory { directory in
      _ = try saved(LayerOfVersion2(), directory)
      do {
        var layer = AttentionLayer()
        let manager = try CheckpointManager(directory: directory, saving: .manual)
        try manager.resume(&layer, from: .latest)
        try manager.save(layer, step: 8)
      }
      let error = try #require(try refusal(of: LayerOfVersion2(), directory))
      #expect(error.code == .incompatibleState)
      #expect(error.message.contains("was saved by a newer version of the program"))
      #expect(error.message.contains("has state version 3, this program 2"))
      #expect(try !fits(LayerOfVersion1(), directory))
      // The older program goes on from the older checkpoint.
      var older = LayerOfVersion2(q: [Float](repeating: 0, count: 16))
      let manager = try CheckpointManager(directory: directory, saving: .manual)
      #expect(try manager.resume(&older, from: .step(7)).checkpoint?.step == 7)
      #expect(older.q == LayerOfVersion2().q)
    }
  }

  @Test func whatIsMigratedMustFitAsIfTheNewestHadSavedIt() throws {
    try withDirectory { directory in
      _ = try saved(LayerOfVersion1(), directory)
      // Nothing brings `mask` to version 2.
      let left = try #require(try refusal(of: WithoutSteps<Leftover>(), directory))
      #expect(left.code == .incompatibleState && left.message.contains("'mask' is unknown"))
      // A version in the middle without a migration.
      let gap = try #require(try refusal(of: WithoutSteps<Gap>(), directory))
      #expect(gap.message.contains("declares no migration from 1"))
      // A step that does not find its tensor is named; the preview knows as well.
      let misspelt = try #require(try refusal(of: WithoutSteps<Misspelt>(), directory))
      #expect(misspelt.message.contains("the step 'drop masks' does not work"))
      #expect(try !fits(WithoutSteps<Misspelt>(), directory))
    }
  }

  @Test func aPreviewRunsNoFunctionAndARehearsalDoes() throws {
    try withDirectory { directory in
      _ = try saved(LayerOfVersion1(), directory)
      for layer: any Checkpointable in [WithoutSteps<TooShort>(), WithoutSteps<TooLarge>()] {
        #expect(try fits(layer, directory))
        var other = layer
        let error = #expect(throws: CheckpointError.self) { try rehearse(&other, directory) }
        #expect(error?.code == .incompatibleState)
      }
    }
  }

  @Test func withoutMigrationsTheVersionIsSeen() throws {
    try withDirectory { directory in
      _ = try saved(OptimizerOfVersion1(), directory)
      let optimizer = Optimizer()
      optimizer.decay = 0.5
      try CheckpointManager(directory: directory, saving: .manual)
        .resume(optimizer, from: .latest)
      // `warmup` was not read, and nobody says so.
      #expect(optimizer.rate == 0.25 && optimizer.decay == 0)
    }
  }
}

/// Saves a state; returns the file's path.
private func saved(_ state: some Checkpointable, _ directory: String) throws -> String {
  let manager = try CheckpointManager(directory: directory, saving: .manual)
  guard case .saved(let receipt, _) = try manager.save(state, step: 7) else {
    throw KeepsOne.NotSaved()
  }
  return receipt.path
}

/// Why a state cannot resume.
private func refusal(of state: some Checkpointable, _ directory: String) throws -> CheckpointError?
{
  var state = state
  let manager = try CheckpointManager(directory: directory, saving: .manual)
  do {
    try manager.resume(&state, from: .latest)
    return nil
  } catch let error as CheckpointError {
    return error
  }
}

/// Two layers in scopes of their own, each with its version.
private struct Twin<First: Checkpointable, Second: Checkpointable>: Checkpointable {
  var first: First
  var second: Second

  func save(to state: inout StateWriter) throws {
    try state.scope("first", first)
    try state.scope("second", second)
  }

  mutating func restore(from state: StateReader) throws {
    try state.scope("first", &first)
    try state.scope("second", &second)
  }
}

extension Twin<AttentionLayer, AttentionLayer> {
  /// What version 3 would have saved.
  fileprivate static var expected: Self {
    var layer = AttentionLayer()
    layer.q = (0..<16).map(Float.init)
    layer.k = (16..<32).map(Float.init)
    layer.v = (32..<48).map(Float.init)
    layer.output = (0..<16).map { Float(Double($0) / 3) }
    layer.scale = [1, 1, 1, 1]
    layer.dropout = 0.1
    var other = layer
    other.q = LayerOfVersion2().q
    (other.k, other.v, other.output) = (other.q, other.q, other.q)
    return Self(first: layer, second: other)
  }
}

private struct LayerOfVersion1: Checkpointable {
  func save(to state: inout StateWriter) throws {
    try state.tensor("qkv", (0..<48).map(Double.init), shape: [12, 4])
    try state.tensor("proj", (0..<16).map { Double($0) / 3 })
    try state.tensor("mask", [UInt8](repeating: 1, count: 4))
  }

  mutating func restore(from state: StateReader) throws {}
}

private struct LayerOfVersion2: Checkpointable {
  static let stateVersion = 2
  var q = [Float](repeating: 0.5, count: 16)

  func save(to state: inout StateWriter) throws {
    for name in ["q", "k", "v", "output"] { try state.tensor(name, q, shape: [4, 4]) }
  }

  mutating func restore(from state: StateReader) throws {
    for name in ["q", "k", "v", "output"] { q = try state.tensor(name) }
  }
}

private struct OptimizerOfVersion1: Checkpointable {
  func save(to state: inout StateWriter) throws {
    try state.value("rate", 0.25)
    try state.value("warmup", 10)
  }

  mutating func restore(from state: StateReader) throws {}
}

/// Migrations with a mistake.
private protocol Steps {
  static var version: Int { get }
  static var migrations: [StateMigration] { get }
}

/// Has one tensor, `proj`, and gets there in another way each time.
private struct WithoutSteps<Plan: Steps>: Checkpointable {
  static var stateVersion: Int { Plan.version }
  static var stateMigrations: [StateMigration] { Plan.migrations }
  var proj = [Float](repeating: 0, count: 16)

  func save(to state: inout StateWriter) throws { try state.tensor("proj", proj) }
  mutating func restore(from state: StateReader) throws { proj = try state.tensor("proj") }
}

private enum Leftover: Steps {
  static let version = 2
  static let migrations = [StateMigration(from: 1, .drop("qkv"), .cast("proj", to: .float32))]
}

private enum Gap: Steps {
  static let version = 3
  static let migrations = [StateMigration(from: 2, .drop("mask"))]
}

private enum Misspelt: Steps {
  static let version = 2
  static let migrations = [StateMigration(from: 1, .drop("masks"))]
}

/// Makes fewer bytes than it says.
private enum TooShort: Steps {
  static let version = 2
  static let migrations = [
    StateMigration(
      from: 1, .make("proj", dtype: .float32, shape: [16], of: ["proj"]) { _ in [0] },
      .drop("qkv"), .drop("mask"))
  ]
}

/// Converts a number that is too large for the other type.
private enum TooLarge: Steps {
  static let version = 2
  static let migrations = [
    StateMigration(
      from: 1,
      .add("huge", dtype: .float64, shape: [16], filledWith: [0, 0, 0, 0, 0, 0, 0xe0, 0x7f]),
      .drop("proj"), .rename("huge", to: "proj"), .cast("proj", to: .float32),
      .drop("qkv"), .drop("mask"))
  ]
}
