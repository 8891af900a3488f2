import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: the digest is the same for the same state and differs for any other.
// Method: a base state, and one state for each single thing that can differ.
@Suite("State digest")
struct StateDigestTests {
  private struct Sample: Checkpointable {
    var values: [Float] = [1, 2, 0]
    var name = "x"
    var shape = [3]
    var dtype: DType?
    var count = 5
    var text = "text"
    var bits: UInt64 = 0
    var valueName = "count"
    var scope = "part"
    var isAliased = true
    var hasEmptyTensor = false
    var isSwapped = false
    var json = ["a": 1]

    func save(to state: inout StateWriter) throws {
      if isSwapped { try state.tensor("second", [UInt8]([7])) }
      try state.tensor(name, values, shape: shape, as: dtype)
      if !isSwapped { try state.tensor("second", [UInt8]([7])) }
      if isAliased { try state.alias("alias", of: name) }
      if hasEmptyTensor { try state.tensor("empty", [Float]()) }
      try state.value(valueName, count)
      try state.value("text", text)
      try state.value("float", Double(bitPattern: bits))
      try state.codable("json", json)
      try state.scope(scope, ScriptedState { try $0.value("v", true) })
    }

    mutating func restore(from state: StateReader) throws {}
  }

  private static let changes: [(String, @Sendable (inout Sample) -> Void)] = [
    ("an element", { $0.values[1] = 2.0000002 }),
    ("the sign of zero", { $0.values[2] = -0.0 }),
    ("a NaN", { $0.values[2] = .nan }),
    ("its payload", { $0.values[2] = Float(bitPattern: 0x7fc0_0001) }),
    ("another element", { $0.values[0] = 2 }),
    ("a tensor's name", { $0.name = "y" }),
    ("a longer name", { $0.name = "xs" }),
    ("a shape", { $0.shape = [1, 3] }),
    ("another shape", { $0.shape = [3, 1] }),
    ("a dtype", { $0.dtype = .int32 }),
    ("a value", { $0.count = 6 }),
    ("a value's name", { $0.valueName = "counts" }),
    ("a text", { $0.text = "texts" }),
    ("an empty text", { $0.text = "" }),
    ("the bits of a number", { $0.bits = 1 << 63 }),
    ("a configuration", { $0.json["a"] = 2 }),
    ("a scope", { $0.scope = "parts" }),
    ("an alias", { $0.isAliased = false }),
    ("a tensor without elements", { $0.hasEmptyTensor = true }),
    ("the order of tensors", { $0.isSwapped = true }),
  ]

  @Test func equalStatesHaveEqualDigests() throws {
    let digest = try stateDigest(of: Sample())
    #expect(try stateDigest(of: Sample()) == digest)
    #expect(digest.count == 64)
    #expect(digest.allSatisfy { "0123456789abcdef".contains($0) })
  }

  @Test func anySingleChangeGivesAnotherDigest() throws {
    var digests: [String: String] = [try stateDigest(of: Sample()): "the base"]
    for (what, change) in Self.changes {
      var sample = Sample()
      change(&sample)
      let digest = try stateDigest(of: sample)
      let other = digests.updateValue(what, forKey: digest)
      #expect(other == nil, "\(what) and \(other ?? "")")
    }
  }

  @Test func whatATensorIsTiedToCounts() throws {
    let digests = try ["a", "b"].map { original in
      try stateDigest(
        of: ScriptedState {
          for name in ["a", "b"] { try $0.tensor(name, [Float]([1, 2])) }
          try $0.alias("c", of: original)
        })
    }
    #expect(digests[0] != digests[1])
  }

  @Test func everyElementCounts() throws {
    let base = [UInt8](repeating: 0, count: 300)
    var digests: Set<String> = []
    for index in base.indices {
      var values = base
      values[index] = 1
      digests.insert(try stateDigest(of: ScriptedState { try $0.tensor("x", values) }))
    }
    #expect(digests.count == base.count)
  }

  @Test func howATensorIsProvidedIsOfNoAccount() throws {
    let values = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let array = ScriptedState { try $0.tensor("x", values) }
    let filled = ScriptedState {
      try unsafe $0.tensor("x", dtype: .uint8, shape: [values.count]) { offset, target in
        unsafe target.copyBytes(from: values[Int(offset)..<Int(offset) + target.count])
      }
    }
    #expect(try stateDigest(of: array) == stateDigest(of: filled))
  }

  @Test func resumingKeepsTheDigest() throws {
    let disk = SimulatedDisk()
    let trainer = ToyTrainer.trained(5)
    try disk.manager().saved(trainer, step: 5)
    var resumed = ToyTrainer()
    #expect(try stateDigest(of: resumed) != stateDigest(of: trainer))
    try disk.manager().resume(&resumed, from: .latest)
    #expect(try stateDigest(of: resumed) == stateDigest(of: trainer))
  }

  // Pins the definition, which people compare across machines and versions.
  @Test func theEmptyStateHasAKnownDigest() throws {
    // printf '\0\0\0\0\0\0\0\0' | sha256sum
    #expect(
      try stateDigest(of: ScriptedState())
        == "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc")
  }
}
