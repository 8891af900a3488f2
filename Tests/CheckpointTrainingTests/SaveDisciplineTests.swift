import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a save whose two passes differ, or whose state throws, publishes nothing and says why.
// Method: states that count their calls and do something else the second time.
@Suite("Two passes of a save")
struct SaveDisciplineTests {
  private let disk = SimulatedDisk()

  /// Behaves as `first` when it is planned and as `second` when it is written.
  private final class Fickle: Checkpointable {
    private let passes: [(inout StateWriter) throws -> Void]
    private(set) var callCount = 0

    init(
      _ first: @escaping (inout StateWriter) throws -> Void,
      _ second: @escaping (inout StateWriter) throws -> Void
    ) {
      passes = [first, second]
    }

    func save(to state: inout StateWriter) throws {
      callCount += 1
      try passes[(callCount - 1) % 2](&state)
    }

    func restore(from state: StateReader) throws {}
  }

  private static func both(_ state: inout StateWriter) throws {
    try state.tensor("a", [Float]([1, 2]))
    try state.tensor("b", [Float]([3, 4]))
    try state.alias("c", of: "b")
    try state.value("x", 1)
    try state.scope("part", ScriptedState { try $0.tensor("t", [Int8]([5])) })
  }

  private static let differences: [(String, @Sendable (inout StateWriter) throws -> Void)] = [
    (
      "order",
      {
        try $0.tensor("b", [Float]([3, 4]))
        try $0.tensor("a", [Float]([1, 2]))
      }
    ),
    (
      "extra tensor",
      {
        try both(&$0)
        try $0.tensor("z", [Float]([9]))
      }
    ),
    (
      "extra alias",
      {
        try both(&$0)
        try $0.alias("z", of: "a")
      }
    ),
    (
      "extra value",
      {
        try both(&$0)
        try $0.value("z", 9)
      }
    ),
    ("nothing", { _ in }),
    ("missing tensors", { try $0.tensor("a", [Float]([1, 2])) }),
    (
      "missing value",
      {
        try $0.tensor("a", [Float]([1, 2]))
        try $0.tensor("b", [Float]([3, 4]))
        try $0.alias("c", of: "b")
        try $0.scope("part", ScriptedState { try $0.tensor("t", [Int8]([5])) })
      }
    ),
    ("another shape", { try $0.tensor("a", [Float]([1, 2]), shape: [2, 1]) }),
    ("another dtype", { try $0.tensor("a", [Int32]([1, 2])) }),
    (
      "another value",
      {
        try $0.value("x", 2)
        try both(&$0)
      }
    ),
    (
      "another type of value",
      {
        try $0.value("x", UInt64(1))
        try both(&$0)
      }
    ),
    (
      "another original",
      {
        try $0.tensor("a", [Float]([1, 2]))
        try $0.tensor("b", [Float]([3, 4]))
        try $0.alias("c", of: "a")
        try $0.value("x", 1)
        try $0.scope("part", ScriptedState { try $0.tensor("t", [Int8]([5])) })
      }
    ),
    (
      "a scope twice",
      {
        try both(&$0)
        try $0.scope("part", ScriptedState())
      }
    ),
  ]

  @Test(arguments: 0..<differences.count)
  func aSaveThatDiffersBetweenItsPassesPublishesNothing(number: Int) throws {
    let (name, second) = Self.differences[number]
    try disk.train(1)
    let before = disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1))
    let manager = try disk.manager()
    var toy = ToyTrainer()
    try manager.resume(&toy, from: .latest)
    let state = Fickle(Self.both, second)
    let error = try checkpointError { try manager.save(state, step: 2) }
    #expect(error.code == .invalidState, "\(name)")
    #expect(error.message.contains("save(to:) did not do the same twice"), "\(name): \(error)")
    #expect(disk.names(inDirectoryAt: "/run") == [".lock", "step-000000001.g000001.ckpt"])
    #expect(disk.contents(ofFileAt: checkpointPath(step: 1, generation: 1)) == before)
    // A refused save is not a save: the run is told so at its end, and the next one is fine.
    #expect(try checkpointError { try manager.finish() } == error)
    try manager.saved(toy, step: 2)
    try manager.finish()
  }

  @Test func stateDigestHoldsToTheSameRule() throws {
    let error = try checkpointError {
      _ = try stateDigest(of: Fickle(Self.both) { try $0.tensor("a", [Float]([1, 2])) })
    }
    #expect(error.code == .invalidState)
  }

  @Test(arguments: [0, 1])
  func errorsOfTheStatePassUnchangedAndAbort(failingPass: Int) throws {
    let manager = try disk.manager()
    let fail: (inout StateWriter) throws -> Void = {
      try $0.tensor("a", [Float]([1, 2]))
      throw TrainerError(number: 7)
    }
    let state = failingPass == 0 ? Fickle(fail, Self.both) : Fickle(Self.both, fail)
    #expect(throws: TrainerError(number: 7)) { try manager.save(state, step: 1) }
    #expect(state.callCount == failingPass + 1)
    #expect(disk.checkpoints().isEmpty && disk.temporaries().isEmpty)
    let unsaved = try checkpointError { try manager.finish() }
    #expect(unsaved.code == .invalidState)
    #expect(unsaved.message.contains("step 1") && unsaved.message.contains("number: 7"))
  }

  @Test func aCheckpointErrorOfTheStateIsThrownAndNotReportedAsAFailedSave() throws {
    // For example from a state that reads a frozen base from another checkpoint while it is saved.
    let own = CheckpointError(.io, "The base cannot be read.")
    let manager = try disk.manager()
    let state = ScriptedState {
      try unsafe $0.tensor("a", dtype: .int8, shape: [3]) { _, _ in throw own }
    }
    #expect(throws: own) { try manager.save(state, step: 1) }
    let second = ScriptedState { _ in throw own }
    #expect(throws: own) { try manager.save(second, step: 1) }
    #expect(throws: own) { try stateDigest(of: state) }
    #expect(disk.checkpoints().isEmpty && disk.temporaries().isEmpty)
  }

  @Test func aFullDiskThatTheStatePassesOverIsAFailedSave() throws {
    let manager = try disk.manager()
    disk.faultPlan = FaultPlan([.init(.write, occurrence: 1, .error(ENOSPC), .always)])
    let state = ScriptedState { writer in
      for number in 0..<8 {
        // What a program in a hurry might write.
        try? writer.tensor("t\(number)", [UInt8](repeating: 1, count: 1 << 20))
      }
    }
    let error = try manager.failure(state, step: 1)
    #expect(error.code == .outOfSpace)
    #expect(disk.checkpoints().isEmpty && disk.temporaries().isEmpty)
  }

  @Test func aBadNameOfAMetricIsTheProgramsFault() throws {
    let manager = try disk.manager()
    let error = try checkpointError {
      try manager.save(ToyTrainer(), step: 1, metrics: ["a\nb": 1])
    }
    #expect(error.code == .invalidState)
    #expect(error.message.contains("metric"))
  }
}
