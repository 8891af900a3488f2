import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: state of older versions becomes state of the newest by the declared steps, in order and scope by
// scope; then everything must fit, and the file stays as it is.
@Suite("State migrations")
struct MigrationTests {
  private let disk = SimulatedDisk()

  /// What a test says of the newest version.
  private struct Part: Checkpointable {
    static var stateVersion: Int { 3 }
    static var stateMigrations: [StateMigration] {
      [
        StateMigration(
          from: 1, .rename("w", to: "weight"), .rename("old", to: "inner"), .drop("junk")),
        StateMigration(
          from: 2, .reshape("weight", to: [2, 3]), .cast("weight", to: .float32),
          .add("momentum", shape: [2, 3], filledWith: Float(0.25)), .add("rate", 0.5)),
      ]
    }
    var weight: [Float] = [0, 0, 0, 0, 0, 0]
    var momentum: [Float] = [9, 9, 9, 9, 9, 9]
    var rate = 0.0
    var inner = ToyTrainer()
    var seenVersion = 0

    func save(to state: inout StateWriter) throws {
      try state.tensor("weight", weight, shape: [2, 3])
      try state.tensor("momentum", momentum, shape: [2, 3])
      try state.value("rate", rate)
      try state.scope("inner", inner)
    }

    mutating func restore(from state: StateReader) throws {
      seenVersion = state.stateVersion
      weight = try state.tensor("weight", shape: [2, 3])
      momentum = try state.tensor("momentum", shape: [2, 3])
      rate = try state.value("rate")
      try state.scope("inner", &inner)
    }
  }

  /// The versions before, as programs of then saved them.
  private struct Version1: Checkpointable {
    var toy = ToyTrainer.trained(3)
    func save(to state: inout StateWriter) throws {
      try state.tensor("w", [Double]([1, 2, 3, 4, 5, 6]))
      try state.tensor("junk/a", [UInt8]([1]))
      try state.value("junk/b", 1)
      try state.scope("old", toy)
    }
    mutating func restore(from state: StateReader) throws {}
  }

  private struct Version2: Checkpointable {
    static var stateVersion: Int { 2 }
    var toy = ToyTrainer.trained(3)
    func save(to state: inout StateWriter) throws {
      try state.tensor("weight", [Double]([1, 2, 3, 4, 5, 6]))
      try state.scope("inner", toy)
    }
    mutating func restore(from state: StateReader) throws {}
  }

  /// A trainer with a part in a scope.
  private struct Trainer<Part: Checkpointable>: Checkpointable {
    var part: Part
    func save(to state: inout StateWriter) throws { try state.scope("part", part) }
    mutating func restore(from state: StateReader) throws { try state.scope("part", &part) }
  }

  private func requireMigrated(_ part: Part) {
    #expect(part.weight == [1, 2, 3, 4, 5, 6])
    #expect(part.momentum == [0.25, 0.25, 0.25, 0.25, 0.25, 0.25])
    #expect(part.rate == 0.5)
    #expect(part.inner == .trained(3))
    #expect(part.seenVersion == 3)
  }

  @Test func eachVersionIsMigratedInOrderAtTheRootAndInAScope() throws {
    try disk.manager("/one").saved(Version1(), step: 1)
    try disk.manager("/two").saved(Version2(), step: 1)
    try disk.manager("/three").saved(Trainer(part: Version1()), step: 1)
    for path in ["/one", "/two"] {
      let before = disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1, in: path))
      var part = Part()
      let manager = try disk.manager(path)
      #expect(try manager.previewResume(of: part, from: .latest).misfit == nil)
      try manager.resume(&part, from: .latest)
      requireMigrated(part)
      #expect(disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1, in: path)) == before)
      // What is saved next is of the newest version.
      try manager.saved(part, step: 2)
      var again = Part()
      try manager.resume(&again, from: .latest)
      requireMigrated(again)
    }
    var trainer = Trainer(part: Part())
    try disk.manager("/three").resume(&trainer, from: .latest)
    requireMigrated(trainer.part)
  }

  @Test func aPartOfAMigratedCheckpointIsRestored() throws {
    try disk.manager().saved(Version1(), step: 1)
    var part = Part()
    try disk.manager().resume(
      &part, from: .latest, strictness: .selected(.matching("weight", "inner/**")))
    #expect(part.weight == [1, 2, 3, 4, 5, 6] && part.inner == .trained(3))
    #expect(part.momentum == [9, 9, 9, 9, 9, 9] && part.rate == 0)
  }

  /// A model, and an optimizer whose migrations are gone.
  private struct Model<Optimizer: Checkpointable>: Checkpointable {
    var model: ToyTrainer
    var optimizer: Optimizer
    func save(to state: inout StateWriter) throws {
      try state.scope("model", model)
      try state.scope("optimizer", optimizer)
    }
    mutating func restore(from state: StateReader) throws {
      try state.scope("model", &model)
      try state.scope("optimizer", &optimizer)
    }
  }

  @Test func migrationsOfWhatIsNotWantedDoNotMatter() throws {
    try disk.manager().saved(Model(model: .trained(4), optimizer: Version1()), step: 1)
    var model = Model(model: ToyTrainer(), optimizer: Gap())
    #expect(
      try checkpointError { try disk.manager().resume(&model, from: .latest) }.message
        .contains("declares no migration"))
    try disk.manager("/other").warmStart(
      &model, from: SimulatedDisk.store, restoring: .matching("model/**"))
    #expect(model.model == .trained(4))
  }

  /// A newer version that reads older ones itself.
  private struct ByHand: Checkpointable {
    static var stateVersion: Int { 2 }
    var w = [Double](repeating: 0, count: 6)
    func save(to state: inout StateWriter) throws { try state.tensor("w", w) }
    mutating func restore(from state: StateReader) throws { w = try state.tensor("w") }
  }

  @Test func aPartCanOnlyBeRestoredInOneVersion() throws {
    try disk.manager().saved(Version1(), step: 1)
    var state = ByHand()
    let error = try checkpointError {
      try disk.manager().resume(&state, from: .latest, strictness: .selected(.matching("w")))
    }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("has state version 1 of scope '', the program 2"))
    // The whole is its own business.
    try disk.manager().resume(&state, from: .latest)
    #expect(state.w == [1, 2, 3, 4, 5, 6])
  }

  private struct Gap: Checkpointable {
    /// ThreadSanitizer crashes at an inout of a type without bytes.
    var placeholder = 0
    static var stateVersion: Int { 3 }
    static var stateMigrations: [StateMigration] { [StateMigration(from: 2, .drop("w"))] }
    func save(to state: inout StateWriter) throws {}
    mutating func restore(from state: StateReader) throws {}
  }

  @Test func aVersionWithoutAMigrationIsRefused() throws {
    try disk.manager().saved(Version1(), step: 1)
    var gap = Gap()
    let error = try checkpointError { try disk.manager().resume(&gap, from: .latest) }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("state version 1 of scope ''"))
    #expect(error.message.contains("declares no migration from 1"))
  }

  /// The head is tied from version 2 on; in version 3 both are made of one.
  private struct Tied: Checkpointable {
    static var stateVersion: Int { 3 }
    static var stateMigrations: [StateMigration] {
      let double: @Sendable ([[UInt8]]) -> [UInt8] = { $0[0] + $0[0] }
      return [
        StateMigration(from: 1, .drop("junk"), .drop("old"), .alias("head", of: "w")),
        StateMigration(
          from: 2,
          steps: ["head", "w"].map { .make($0, dtype: .float64, shape: [12], of: ["w"], double) }),
      ]
    }
    var w = [Double](repeating: 0, count: 12)
    func save(to state: inout StateWriter) throws {
      try state.tensor("w", w)
      try state.alias("head", of: "w")
    }
    mutating func restore(from state: StateReader) throws { w = try state.tensor("w") }
  }

  @Test func tiedTensorsAreMigratedTogether() throws {
    try disk.manager().saved(Version1(), step: 1)
    var tied = Tied()
    try disk.manager().resume(&tied, from: .latest)
    #expect(tied.w == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6])
  }

  private struct Scoped<Part: Checkpointable, Root: Versioned>: Checkpointable {
    static var stateVersion: Int { Root.version }
    var part: Part
    func save(to state: inout StateWriter) throws {
      try state.scope("part", part)
      try state.value("root", 1)
    }
    mutating func restore(from state: StateReader) throws { try state.scope("part", &part) }
  }
  private protocol Versioned { static var version: Int { get } }
  private enum One: Versioned { static let version = 1 }
  private enum Two: Versioned { static let version = 2 }

  @Test func onlyTheVersionsOfWhatIsWantedMatter() throws {
    let part = StateSelection.matching("part/**")
    for isNewer in [false, true] {
      let disk = SimulatedDisk()
      var toy = ToyTrainer()
      if isNewer {
        try disk.manager().saved(Scoped<ToyTrainer, Two>(part: .trained(2)), step: 1)
        var trainer = Scoped<ToyTrainer, One>(part: toy)
        try disk.manager().resume(&trainer, from: .latest, strictness: .selected(part))
        toy = trainer.part
        #expect(
          try checkpointError { try disk.manager().resume(&trainer, from: .latest) }.message
            .contains("newer version"))
      } else {
        try disk.manager().saved(Scoped<ToyTrainer, One>(part: .trained(2)), step: 1)
        var trainer = Scoped<ToyTrainer, Two>(part: toy)
        try disk.manager().resume(&trainer, from: .latest, strictness: .selected(part))
        toy = trainer.part
      }
      #expect(toy == .trained(2))
    }
  }

  private struct Misfit: Checkpointable {
    /// ThreadSanitizer crashes at an inout of a type without bytes.
    var placeholder = 0
    static var stateVersion: Int { 2 }
    static var stateMigrations: [StateMigration] {
      [StateMigration(from: 1, .drop("junk"), .drop("old"), .reshape("w", to: [7]))]
    }
    func save(to state: inout StateWriter) throws {}
    mutating func restore(from state: StateReader) throws { throw TrainerError() }
  }

  @Test func aStepThatDoesNotWorkIsNamed() throws {
    try disk.manager().saved(Version1(), step: 1)
    var misfit = Misfit()
    let error = try checkpointError { try disk.manager().resume(&misfit, from: .latest) }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("the step 'reshape w to [7]' does not work"))
    let preview = try disk.manager().previewResume(of: misfit, from: .latest)
    #expect(preview.grade == .refuse && preview.misfit?.message == error.message)
  }

  /// A version that has migrations and forgets one of its tensors.
  private struct Forgetful: Checkpointable {
    /// ThreadSanitizer crashes at an inout of a type without bytes.
    var placeholder = 0
    static var stateVersion: Int { 2 }
    static var stateMigrations: [StateMigration] {
      [StateMigration(from: 1, .drop("junk"), .drop("old"))]
    }
    func save(to state: inout StateWriter) throws {
      try state.tensor("w", [Double](repeating: 0, count: 6))
    }
    mutating func restore(from state: StateReader) throws {}
  }

  @Test func whatWasMigratedIsComparedAsStrictlyAsTheNewest() throws {
    try disk.manager().saved(Version1(), step: 1)
    var forgetful = Forgetful()
    let error = try checkpointError { try disk.manager().resume(&forgetful, from: .latest) }
    #expect(error.message.contains("tensor 'w' was not read"))
  }
}
