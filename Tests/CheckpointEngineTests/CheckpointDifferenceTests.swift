import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: two checkpoints are the same exactly if the same state would be restored from them.
@Suite struct CheckpointDifferenceTests {
  private func state() -> SampleState {
    var state = SampleState(1)
    state.add("bias", .float32, [2], [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40])
    state.alias("tied", of: "weight")
    state.metadata[.stateVersion, ""] = .int64(2)
    state.metadata[.metric, "loss"] = .float64(1)
    return state
  }

  private func reader(_ state: SampleState, step: UInt64 = 5) throws -> CheckpointReader {
    let disk = SimulatedDisk()
    return try CheckpointReader.open(
      path: disk.writer().save(state, step: step).path, on: disk.device, threads: 1)
  }

  private func difference(
    _ options: ComparisonOptions = ComparisonOptions(), step: UInt64 = 5,
    _ change: (inout SampleState) -> Void
  ) throws -> CheckpointDifference {
    var other = state()
    change(&other)
    return try reader(state()).difference(from: reader(other, step: step), options)
  }

  @Test func whatIsNoPartOfTheStateDoesNotCount() throws {
    let found = try difference { state in
      // Another order of saving, metric and environment.
      state.tensors.swapAt(0, 1)
      state.metadata[.metric, "loss"] = .float64(2)
      state.metadata[.environment, "host"] = .string("b")
    }
    #expect(found.isSameState && found.comparedTensorCount == 4)
    #expect(found.otherValues.map(\.name) == ["loss", "host"])
    #expect(found.otherValues[1].value.left == nil)
  }

  @Test func eachPartOfTheStateCounts() throws {
    let step = try difference(step: 6) { _ in }
    #expect(!step.isSameState && step.steps?.left == 5 && step.steps?.right == 6)
    let value = try difference { $0.metadata[.state, "number"] = .int64(1) }
    #expect(!value.isSameState && value.stateValues.map(\.name) == ["number"])
    let nan = Double(nan: 1, signaling: false).bitPattern
    #expect(
      try !difference { $0.metadata[.state, "number"] = .float64(bits: nan) }.isSameState)
    let version = try difference { $0.metadata[.stateVersion, ""] = .int64(3) }
    #expect(!version.isSameState && version.stateValues.map(\.domain) == [.stateVersion])
    let gone = try difference { $0.tensors.removeLast(2) }
    #expect(gone.tensors.map(\.name) == ["bias", "tied"])
    #expect(gone.tensors.allSatisfy { $0.descriptor.right == nil })
    let new = try difference { $0.add("new", .int8, [0], []) }
    #expect(new.tensors.map(\.name) == ["new"] && new.tensors[0].descriptor.left == nil)
    let shape = try difference { $0.tensors[2].descriptor.shape = [1, 2] }
    #expect(shape.tensors.map(\.name) == ["bias"] && shape.tensors[0].elements == nil)
    let dtype = try difference { $0.tensors[2].descriptor.dtype = .int32 }
    #expect(dtype.tensors.map(\.name) == ["bias"] && dtype.comparedTensorCount == 3)
  }

  @Test func tiesCountWhicheverNameComesFirst() throws {
    let untied = try difference { $0.tensors[3].aliasOf = nil }
    #expect(untied.tensors.isEmpty && !untied.isSameState)
    #expect(untied.ties.map(\.text) == ["tied = weight on the left"])
    let swapped = try difference { state in
      var (first, last) = (state.tensors[0], state.tensors[3])
      (first.aliasOf, last.aliasOf) = ("tied", nil)
      state.tensors = [last, state.tensors[1], state.tensors[2], first]
    }
    #expect(swapped.isSameState)
    var separate = state()
    separate.tensors[3].aliasOf = nil
    let tied = try reader(separate).difference(from: reader(state()))
    #expect(tied.ties.map(\.text) == ["tied = weight on the right"])
  }

  @Test func tiedTensorsAreReadOnceAndToldOnce() throws {
    let found = try difference { state in
      state.tensors[0].bytes[150] ^= 1
      state.tensors[3].bytes = state.tensors[0].bytes
    }
    #expect(found.tensors.map(\.name) == ["weight"] && found.tensors[0].otherNames == ["tied"])
    #expect(found.comparedByteCount == 200 + 8 + 8)
    #expect(found.tensors[0].elements?.changedCount == 1)
  }

  @Test func aPartOfTheTensorsIsCompared() throws {
    var options = ComparisonOptions()
    options.selection = .matching("bias")
    let change = { (state: inout SampleState) in
      state.tensors[0].bytes[3] ^= 8
      state.tensors[3].bytes = state.tensors[0].bytes
      state.metadata[.state, "number"] = nil
    }
    #expect(try difference(options, step: 9, change).isSameState)
    options.selection = .matching("tied")
    #expect(try difference(options, change).tensors.map(\.name) == ["tied"])
  }

  @Test func withoutMeasuringTheSameIsFound() throws {
    var options = ComparisonOptions()
    options.measures = false
    #expect(try difference(options) { _ in }.isSameState)
    let found = try difference(options) { state in
      state.tensors[0].bytes = state.tensors[0].bytes.map { $0 ^ 1 }
      state.tensors[3].bytes = state.tensors[0].bytes
      state.tensors[2].bytes[7] ^= 1
    }
    #expect(found.tensors.map(\.name) == ["weight", "bias"])
    #expect(found.tensors.allSatisfy { $0.elements == nil })
  }

  @Test func damageIsToldAndNotCalledADifference() throws {
    let disk = SimulatedDisk()
    try disk.saveRun(1)
    try disk.damage(checkpointName(1, 1))
    let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)
    let damaged = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    #expect(errorCode { _ = try damaged.difference(from: reader(state())) } == .corrupted)
    #expect(errorCode { _ = try reader(state()).difference(from: damaged) } == .corrupted)
  }
}

extension CheckpointDifference.Tie {
  fileprivate var text: String { "\(name) = \(other) on the \(isTiedOnTheLeft ? "left" : "right")" }
}
