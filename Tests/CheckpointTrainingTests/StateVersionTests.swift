import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: an older state is given to the program as it was, a newer one is refused.
// Method: two versions of one part, each inside a trainer that has a second, unchanged part.
@Suite("State versions")
struct StateVersionTests {
  private let disk = SimulatedDisk()

  private protocol Versions {
    static var root: Int { get }
    static var part: Int { get }
  }
  private enum Old: Versions {
    static let root = 1
    static let part = 1
  }
  private enum NewPart: Versions {
    static let root = 1
    static let part = 3
  }
  private enum NewRoot: Versions {
    static let root = 2
    static let part = 1
  }

  /// Version 1 has `rate`; later ones have `rates` and know how to read version 1.
  private struct Schedule<V: Versions>: Checkpointable {
    static var stateVersion: Int { V.part }
    var rates: [Double] = [0.5]
    var seenVersion: Int?

    func save(to state: inout StateWriter) throws {
      if V.part == 1 {
        try state.value("rate", rates[0])
        try state.tensor("history", [Float]([1]))
      } else {
        try state.tensor("rates", rates)
      }
    }

    mutating func restore(from state: StateReader) throws {
      seenVersion = state.stateVersion
      rates = state.stateVersion == 1 ? [try state.value("rate")] : try state.tensor("rates")
    }
  }

  private struct Trainer<V: Versions>: Checkpointable {
    static var stateVersion: Int { V.root }
    var schedule = Schedule<V>()
    var toy = ToyTrainer()
    var note = "new"
    var seenVersions: [Int] = []
    var toyTensor = "w"

    func save(to state: inout StateWriter) throws {
      if V.root > 1 { try state.value("note", note) }
      try state.scope("schedule", schedule)
      try state.scope(
        "toy", ScriptedState { [toy, toyTensor] in try $0.tensor(toyTensor, toy.weights) })
    }

    mutating func restore(from state: StateReader) throws {
      seenVersions.append(state.stateVersion)
      if V.root > 1 { note = state.stateVersion > 1 ? try state.value("note") : "made up" }
      try state.scope("schedule", &schedule)
      var weights: [Float] = []
      var toyState = ScriptedState(onRestore: { weights = try $0.tensor("w") })
      try state.scope("toy", &toyState)
      toy.weights = weights
    }
  }

  @Test func anOlderScopeIsRestoredAsItWas() throws {
    var old = Trainer<Old>()
    old.schedule.rates = [0.125]
    old.toy.weights[0] = 8
    try disk.manager().saved(old, step: 1)
    var new = Trainer<NewPart>()
    // It neither has `rates` nor is its `history` read: both are the business of version 3.
    try disk.manager().resume(&new, from: .latest)
    #expect(new.schedule.seenVersion == 1)
    #expect(new.schedule.rates == [0.125])
    #expect(new.seenVersions == [1])
    #expect(new.toy.weights[0] == 8)
  }

  @Test func aNewRootLeavesItsUnchangedPartsStrict() throws {
    var old = Trainer<Old>()
    old.toyTensor = "w"
    try disk.manager().saved(old, step: 1)
    var wrong = Trainer<NewRoot>()
    wrong.toyTensor = "v"
    let error = try checkpointError { try disk.manager().resume(&wrong, from: .latest) }
    #expect(error.message.contains("'toy/v' is missing"))
    #expect(error.message.contains("'toy/w' is unknown"))
    #expect(!error.message.contains("note"))
    #expect(wrong.seenVersions.isEmpty)
  }

  @Test func anOlderRootMakesUpWhatItLacks() throws {
    let state = ScriptedState(onSave: { try $0.value("gone", 1) })
    struct Root: Checkpointable {
      static let stateVersion = 2
      var note = "new"
      func save(to state: inout StateWriter) throws { try state.value("note", note) }
      mutating func restore(from state: StateReader) throws {
        note = "from version \(state.stateVersion)"
      }
    }
    try disk.manager().saved(state, step: 1)
    var root = Root()
    try disk.manager().resume(&root, from: .latest)
    #expect(root.note == "from version 1")
  }

  @Test(arguments: [RestoreStrictness.exact, .partial])
  func aNewerScopeIsRefusedWithBothVersions(strictness: RestoreStrictness) throws {
    try disk.manager().saved(Trainer<NewPart>(), step: 1)
    var old = Trainer<Old>()
    let error = try checkpointError {
      try disk.manager().resume(&old, from: .latest, strictness: strictness)
    }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("scope 'schedule' has state version 3, this program 1"))
    #expect(old.seenVersions.isEmpty)
  }

  @Test func aScopeThatTheCheckpointLacksHasVersionZero() throws {
    try disk.manager().saved(ScriptedState(), step: 1)
    var version: Int?
    var state = ScriptedState(onRestore: { reader in
      var part = ScriptedState(onRestore: { version = $0.stateVersion })
      try reader.scope("nowhere", &part)
    })
    try disk.manager().resume(&state, from: .latest, strictness: .partial)
    #expect(version == 0)
  }
}
