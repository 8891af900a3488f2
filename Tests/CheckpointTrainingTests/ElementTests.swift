import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: every element and value type comes back with the bits it was saved with.
// Method: one scripted state per claim, saved and restored on a simulated disk.
@Suite("Tensors and values")
struct ElementTests {
  private let disk = SimulatedDisk()

  /// Saves with one function and restores exactly with the other.
  private func roundTrip(
    chunkByteCount: Int = 64, save: @escaping (inout StateWriter) throws -> Void,
    restore: @escaping (StateReader) throws -> Void
  ) throws {
    let options = StoreOptions(
      device: SimulatedDisk().device, chunkByteCount: chunkByteCount, threads: 1)
    var state = ScriptedState(onSave: save, onRestore: restore)
    do {
      let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
      try manager.saved(state, step: 0)
    }
    let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
    let digest = try stateDigest(of: state)
    #expect(try manager.resume(&state, from: .latest).checkpoint != nil)
    #expect(try stateDigest(of: state) == digest)
  }

  private func comesBack<Element: TensorElement & Equatable>(_ values: [Element]) throws {
    var restored: [Element] = []
    try roundTrip {
      try $0.tensor("x", values)
    } restore: {
      restored = try $0.tensor("x", shape: [values.count])
    }
    #expect(restored == values)
  }

  @Test func everyIntegerElement() throws {
    try comesBack([Int8.min, -1, 0, .max])
    try comesBack([Int16.min, -1, 0, .max])
    try comesBack([Int32.min, -1, 0, .max])
    try comesBack([Int64.min, -1, 0, .max])
    try comesBack([UInt8.min, 1, .max])
    try comesBack([UInt16.min, 1, .max])
    try comesBack([UInt32.min, 1, .max])
    try comesBack([UInt64.min, 1, .max])
  }

  @Test func everyBitOfAFloatElement() throws {
    // Quiet and signalling NaNs with payloads, both zeros, subnormal and infinite numbers.
    let doubles: [UInt64] = [
      0x7ff8_0000_0000_0001, 0x7ff0_0000_0000_0001, 0xfff4_dead_beef_0001, 1 << 63, 0, 1,
      0x7ff0_0000_0000_0000,
    ]
    let floats: [UInt32] = [0x7fc0_0001, 0x7f80_0001, 0xffa0_1234, 1 << 31, 0, 1, 0x7f80_0000]
    let halves: [UInt16] = [0x7e01, 0x7c01, 0xfd55, 1 << 15, 0, 1, 0x7c00]
    var restored: ([UInt64], [UInt32], [UInt16]) = ([], [], [])
    try roundTrip {
      try $0.tensor("double", doubles.map(Double.init(bitPattern:)))
      try $0.tensor("float", floats.map(Float.init(bitPattern:)))
      try $0.tensor("half", halves.map(Float16.init(bitPattern:)))
    } restore: { state in
      restored = (
        try state.tensor("double", of: Double.self).map(\.bitPattern),
        try state.tensor("float", of: Float.self).map(\.bitPattern),
        try state.tensor("half", of: Float16.self).map(\.bitPattern)
      )
    }
    #expect(restored.0 == doubles)
    #expect(restored.1 == floats)
    #expect(restored.2 == halves)
  }

  @Test func dtypesThatSwiftHasNoTypeFor() throws {
    var half: [UInt16] = []
    var truth: [UInt8] = []
    var complex: [Float] = [0, 0, 0, 0]
    try roundTrip {
      try $0.tensor("bf16", [UInt16]([0x3f80, 0xffff]), as: .bfloat16)
      try $0.tensor("mask", [UInt8]([0, 1, 1]), as: .bool)
      try $0.tensor("complex", [Float]([1, 2, 3, -0.0]), shape: [2], as: .complex64)
    } restore: {
      half = try $0.tensor("bf16", as: .bfloat16)
      truth = try $0.tensor("mask", as: .bool)
      try $0.tensor("complex", into: &complex, shape: [2], as: .complex64)
    }
    #expect(half == [0x3f80, 0xffff])
    #expect(truth == [0, 1, 1])
    #expect(complex.map(\.bitPattern) == [Float]([1, 2, 3, -0.0]).map(\.bitPattern))
  }

  @Test func elementsThatDoNotFillATensorAreRefused() throws {
    let error = try checkpointError {
      try roundTrip {
        try $0.tensor("bytes", [UInt8]([1, 2, 3]))
      } restore: {
        _ = try $0.tensor("bytes", of: UInt16.self, as: .uint8)
      }
    }
    #expect(error.code == .incompatibleState)
    #expect(error.message.contains("'bytes'"))
  }

  @Test func scalarsAndEmptyTensors() throws {
    var scalar: [Double] = []
    var empty: [Float] = [1]
    try roundTrip {
      try $0.tensor("scalar", [2.5], shape: [])
      try $0.tensor("empty", [Float](), shape: [3, 0, 5])
      try unsafe $0.tensor("generated", dtype: .int64, shape: [0]) { _, _ in
        Issue.record("an empty tensor has no range to fill")
      }
    } restore: {
      scalar = try $0.tensor("scalar", shape: [])
      empty = try $0.tensor("empty", shape: [3, 0, 5])
      _ = try $0.tensor("generated", of: Int64.self)
    }
    #expect(scalar == [2.5])
    #expect(empty.isEmpty)
  }

  @Test func borrowedSpansAndUnsafeMemory() throws {
    let values: [Int32] = (0..<100).map { $0 * 7 - 300 }
    var restored = [Int32](repeating: 0, count: 100)
    var unsafely = [Int32](repeating: 0, count: 100)
    try roundTrip { state in
      // SAFETY: integers have no padding; the buffer is used only during the call.
      try state.tensor("span", dtype: .int32, shape: [10, 10], unsafe values.span.bytes)
      try unsafe values.withUnsafeBytes {
        unsafe try state.tensor("buffer", dtype: .int32, shape: [100], unsafeBytes: $0)
      }
    } restore: { state in
      try state.tensor("span", into: &restored, shape: [10, 10])
      try unsafe unsafely.withUnsafeMutableBytes {
        unsafe try state.tensor("buffer", dtype: .int32, shape: [100], into: $0)
      }
    }
    #expect(restored == values)
    #expect(unsafely == values)
  }

  @Test func tensorsFilledOnDemandInAscendingRanges() throws {
    // A transposed matrix, whose elements do not lie in a row anywhere.
    let columns: [[Float]] = (0..<40).map { column in (0..<30).map { Float($0 * 100 + column) } }
    var restored: [Float] = []
    try roundTrip { state in
      var expectedOffset: UInt64 = 0
      try unsafe state.tensor("transposed", dtype: .float32, shape: [30, 40]) { offset, target in
        #expect(offset == expectedOffset)
        #expect(offset % 4 == 0 && target.count % 4 == 0)
        expectedOffset += UInt64(target.count)
        for place in 0..<target.count / 4 {
          let index = Int(offset) / 4 + place
          unsafe target.storeBytes(
            of: columns[index % 40][index / 40].bitPattern.littleEndian, toByteOffset: place * 4,
            as: UInt32.self)
        }
      }
    } restore: {
      restored = try $0.tensor("transposed", shape: [30, 40])
    }
    let expected: [Float] = (0..<30).flatMap { row in columns.map { $0[row] } }
    #expect(restored == expected)
  }

  @Test func whatFillLeavesOutIsZero() throws {
    var restored: [UInt8] = []
    try roundTrip {
      try $0.tensor("dirty", [UInt8](repeating: 0xff, count: 200))
      try unsafe $0.tensor("sparse", dtype: .uint8, shape: [200]) { offset, target in
        if offset == 0 { unsafe target[3] = 9 }
      }
    } restore: {
      _ = try $0.tensor("dirty", of: UInt8.self)
      restored = try $0.tensor("sparse")
    }
    var expected = [UInt8](repeating: 0, count: 200)
    expected[3] = 9
    #expect(restored == expected)
  }

  @Test func anAliasBringsBackTheSameBytes() throws {
    var heads: [[Float]] = []
    try roundTrip {
      try $0.tensor("embedding", [Float]([1, 2, 3]))
      try $0.alias("head", of: "embedding")
      try $0.alias("second_head", of: "head")
    } restore: { state in
      heads = [try state.tensor("head"), try state.tensor("second_head")]
    }
    #expect(heads == [[1, 2, 3], [1, 2, 3]])
  }

  @Test func everyValueType() throws {
    let nan: UInt64 = 0x7ff0_0000_0000_0bad
    let text = "e\u{301}\n\u{0} \u{1F3F3}\u{FE0F}\u{200D}\u{1F308}"
    try roundTrip {
      try $0.value("bool", true)
      try $0.value("int", Int.min)
      try $0.value("int64", Int64.max)
      try $0.value("uint64", UInt64.max)
      try $0.value("nan", Double(bitPattern: nan))
      try $0.value("zero", -0.0)
      try $0.value("text", text)
      try $0.value("bytes", [UInt8]([0, 255]))
      try $0.value("", "a value may have no name")
    } restore: { state in
      #expect(try state.value("bool", as: Bool.self))
      #expect(try state.value("int", as: Int.self) == .min)
      #expect(try state.value("int64", as: Int64.self) == .max)
      #expect(try state.value("uint64", as: UInt64.self) == .max)
      #expect(try state.value("nan", as: Double.self).bitPattern == nan)
      #expect(try state.value("zero", as: Double.self).bitPattern == 1 << 63)
      #expect(try Array(state.value("text", as: String.self).utf8) == Array(text.utf8))
      #expect(try state.value("bytes", as: [UInt8].self) == [0, 255])
      #expect(state.hasValue("") && !state.hasValue("bool2"))
      _ = try state.value("", as: String.self)
    }
  }

  private struct Configuration: Codable, Equatable {
    var name = "é/\"\n"
    var rates: [Double] = [0.1, .infinity, -.infinity, -0.0, .leastNonzeroMagnitude]
    var limit: Float = .nan
    var nested: [String: [Int]] = ["z": [1], "a": [], "m": [.max, .min]]
  }

  @Test func configurationsWithNumbersThatJSONLacks() throws {
    var restored = Configuration(name: "", rates: [], limit: 0, nested: [:])
    let saved = Configuration()
    try roundTrip {
      try $0.codable("configuration", restored.name.isEmpty ? saved : restored)
    } restore: {
      restored = try $0.codable("configuration")
    }
    #expect(restored.rates == saved.rates)
    #expect(restored.limit.isNaN)
    #expect(restored.nested == saved.nested)
    #expect(restored.name == saved.name)
  }

  @Test func impossibleShapesAndNamesAreRefusedBeforeAnythingIsWritten() throws {
    let wrong: [(inout StateWriter) throws -> Void] = [
      { try $0.tensor("x", [Float]([1]), shape: [2]) },
      { try $0.tensor("x", [Float]([1]), shape: [-1]) },
      { try $0.tensor("x", [Float](), shape: [.max, .max, 0]) },
      { try unsafe $0.tensor("x", dtype: .int64, shape: [.max]) { _, _ in } },
      { try $0.tensor("", [Float]([1])) },
      { try $0.tensor("a\u{1b}b", [Float]([1])) },
      { try $0.alias("x", of: "y") },
      { try $0.value("a\nb", 1) },
      { try $0.scope("a\nb", ToyTrainer()) },
      { try $0.scope("", ToyTrainer()) },
      { try $0.value(String(repeating: "n", count: 4097), 1) },
    ]
    for (number, save) in wrong.enumerated() {
      let manager = try disk.manager()
      let state = ScriptedState(onSave: save)
      let error = try checkpointError { try manager.save(state, step: number) }
      #expect(error.code == .invalidState, "\(number): \(error)")
    }
    #expect(disk.checkpoints().isEmpty)
    #expect(disk.temporaries().isEmpty)
  }

  @Test func twoThingsOfOneNameAreRefused() throws {
    let wrong: [(String, (inout StateWriter) throws -> Void)] = [
      ("Two values", { for _ in 0..<2 { try $0.value("x", 1) } }),
      ("Two scopes", { for _ in 0..<2 { try $0.scope("x", ToyTrainer()) } }),
      ("Two tensors", { for _ in 0..<2 { try $0.tensor("x", [Float]()) } }),
      (
        "normal form",
        { for name in ["\u{e9}", "e\u{301}"] { try $0.tensor(name, [Float]()) } }
      ),
    ]
    for (words, save) in wrong {
      let manager = try disk.manager()
      let error = try checkpointError { try manager.save(ScriptedState(onSave: save), step: 1) }
      #expect(error.code == .invalidState)
      #expect(error.message.contains(words), "\(error)")
    }
  }

  @Test func aValueBeyondTheLimitIsNamed() throws {
    let manager = try disk.manager()
    let state = ScriptedState { try $0.value("replay", [UInt8](repeating: 0, count: 4 << 20 | 1)) }
    let error = try checkpointError { try manager.save(state, step: 1) }
    #expect(error.code == .overLimit)
    #expect(error.message.contains("'replay'"))
  }
}
