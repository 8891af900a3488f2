import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a checkpoint that does not fit is refused with everything that differs, and before anything
// is restored; a restore that forgets something is an error.
// Method: saves one scripted state and resumes another from it.
@Suite("Strict restore")
struct StrictRestoreTests {
  private let disk = SimulatedDisk()

  private func save(_ body: @escaping (inout StateWriter) throws -> Void) throws {
    try disk.manager().saved(ScriptedState(onSave: body), step: 1)
  }

  private func resume(
    strictness: RestoreStrictness = .exact, save: @escaping (inout StateWriter) throws -> Void,
    restore: @escaping (StateReader) throws -> Void
  ) throws {
    var state = ScriptedState(onSave: save, onRestore: restore)
    try disk.manager().resume(&state, from: .latest, strictness: strictness)
  }

  private struct Wide: Checkpointable {
    var toy = ToyTrainer()

    func save(to state: inout StateWriter) throws {
      try state.value("step", Double(toy.step))
      try state.value("position", toy.position)
      try state.value("temperature", 1.5)
      try state.tensor("weights", toy.weights, shape: [6, 4])
      try state.tensor("momentum", toy.momentum.map(Double.init), shape: [4, 6])
      try state.tensor("variance", toy.momentum)
    }

    mutating func restore(from state: StateReader) throws {
      Issue.record("nothing may be restored from a checkpoint that does not fit")
      toy.step = 99
    }
  }

  @Test func everyDifferenceIsInOneErrorAndNothingIsRestored() throws {
    try disk.train(1)
    var trainer = Wide()
    let digest = try stateDigest(of: trainer)
    let manager = try disk.manager()
    let error = try checkpointError { try manager.resume(&trainer, from: .latest) }
    #expect(error.code == .incompatibleState)
    #expect(try stateDigest(of: trainer) == digest)
    for words in [
      "value 'step' was saved as int64, the program has float64",
      "value 'temperature' is missing", "value 'generator' is unknown",
      "'weights' was saved as float32 [4, 6], the program has float32 [6, 4]",
      "'momentum' was saved as float32 [4, 6], the program has float64 [4, 6]",
      "tensor 'variance' is missing", "nothing was restored",
      checkpointPath(step: 1, generation: 1),
    ] {
      #expect(error.message.contains(words), "\(words)")
    }
    #expect(!error.message.contains("'position'"))
  }

  @Test func anExtraTensorIsNamed() throws {
    try save {
      try $0.tensor("a", [Float]([1]))
      try $0.tensor("b", [Float]([1]))
    }
    let error = try checkpointError {
      try resume {
        try $0.tensor("a", [Float]([1]))
      } restore: { _ in
        Issue.record("nothing may be restored")
      }
    }
    #expect(error.message.contains("tensor 'b' is unknown to the program"))
  }

  @Test func longListsOfDifferencesAreCut() throws {
    try save { for number in 0..<80 { try $0.tensor("t\(number)", [Float]()) } }
    let error = try checkpointError { try resume(save: { _ in }, restore: { _ in }) }
    #expect(error.message.contains("and 30 more"))
  }

  @Test func tiesMustBeTheSameOnBothSides() throws {
    let tied: (inout StateWriter) throws -> Void = {
      try $0.tensor("a", [Float]([1]))
      try $0.alias("b", of: "a")
    }
    let untied: (inout StateWriter) throws -> Void = {
      for name in ["a", "b"] { try $0.tensor(name, [Float]([1])) }
    }
    // Which name is the original is of no account.
    let tiedTheOtherWay: (inout StateWriter) throws -> Void = {
      try $0.tensor("b", [Float]([1]))
      try $0.alias("a", of: "b")
    }
    let restore: (StateReader) throws -> Void = { _ = try $0.tensor("a", of: Float.self) }
    try save(tied)
    var error = try checkpointError { try resume(save: untied, restore: restore) }
    #expect(error.message.contains("'b' was saved tied to 'a'"))
    try resume(save: tiedTheOtherWay, restore: restore)

    try disk.manager("/other").saved(ScriptedState(onSave: untied), step: 1)
    var state = ScriptedState(onSave: tied, onRestore: restore)
    error = try checkpointError { try disk.manager("/other").resume(&state, from: .latest) }
    #expect(error.message.contains("'b' is tied to 'a' in the program"))
  }

  private func saveTwo(_ state: inout StateWriter) throws {
    try state.tensor("a", [Float]([1, 2]))
    try state.tensor("b", [Float]([3]))
    try state.value("x", 1)
    try state.codable("y", [1, 2])
  }

  @Test func aForgottenTensorOrValueIsAnError() throws {
    try save(saveTwo)
    let error = try checkpointError {
      try resume(save: saveTwo) {
        _ = try $0.tensor("a", of: Float.self)
        _ = try $0.codable("y", as: [Int].self)
      }
    }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("tensor 'b' was not read"))
    #expect(error.message.contains("value 'x' was not read"))
    #expect(!error.message.contains("'a'") && !error.message.contains("'y'"))
  }

  @Test func aFailureThatRestorePassesOverCountsAsForgotten() throws {
    try save(saveTwo)
    let error = try checkpointError {
      try resume(save: saveTwo) { state in
        #expect(throws: CheckpointError.self) { try state.tensor("a", of: Double.self) }
        #expect(throws: CheckpointError.self) { try state.value("x", as: String.self) }
        #expect(throws: (any Error).self) { try state.codable("y", as: [String].self) }
        _ = try state.tensor("b", of: Float.self)
      }
    }
    for name in ["a", "x", "y"] { #expect(error.message.contains("'\(name)' was not read")) }
    #expect(!error.message.contains("'b'"))
  }

  @Test func aReaderChecksWhatItIsAskedFor() throws {
    try save(saveTwo)
    try resume(strictness: .partial, save: { _ in }) { state in
      #expect(state.descriptor(of: "a")?.shape == [2])
      #expect(state.descriptor(of: "z") == nil)
      for body in [
        { _ = try state.tensor("z", of: Float.self) },
        { _ = try state.tensor("a", of: Int32.self) },
        { _ = try state.tensor("a", of: Float.self, shape: [1, 2]) },
        {
          var values: [Float] = [0]
          try state.tensor("a", into: &values)
        },
        { _ = try state.value("z", as: Int.self) },
        { _ = try state.value("x", as: UInt64.self) },
        { _ = try state.codable("x", as: Int.self) },
      ] as [() throws -> Void] {
        let error = try checkpointError(body)
        #expect(error.code == .incompatibleState)
        #expect(error.message.contains(SimulatedDisk.store) || error.location?.tensor == "a")
      }
    }
  }

  @Test func aPartialRestoreTakesWhatItWants() throws {
    try save(saveTwo)
    var values: [Float] = []
    try resume(strictness: .partial) {
      try $0.tensor("new", [Float]([0]))
    } restore: {
      values = try $0.tensor("a")
    }
    #expect(values == [1, 2])
    let error = try checkpointError {
      try resume(strictness: .partial, save: { _ in }) {
        values = try $0.tensor("missing")
      }
    }
    #expect(error.code == .incompatibleState)
  }

  @Test func theTrainersOwnErrorsPassUnchanged() throws {
    try save(saveTwo)
    #expect(throws: TrainerError(number: 3)) {
      try resume(save: saveTwo) { _ in throw TrainerError(number: 3) }
    }
    #expect(throws: TrainerError(number: 4)) {
      try resume(save: { _ in throw TrainerError(number: 4) }, restore: { _ in })
    }
  }
}
