import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: tensor names are bytes; names that people cannot tell apart are refused when saving, and
// read all the same.
@Suite struct TensorNameTests {
  private func refusal(_ names: String...) -> CheckpointError? {
    var plan = SavePlan()
    do throws(CheckpointError) {
      for name in names { try plan.append(TensorDescriptor(name: name, dtype: .int8, shape: [])) }
      return nil
    } catch {
      return error
    }
  }

  @Test func aNameThatStandsTwiceIsRefused() {
    #expect(refusal("a", "b", "a")?.code == .invalidState)
  }

  @Test func namesThatDifferOnlyInTheirNormalFormAreRefused() throws {
    let error = try #require(refusal("caf\u{e9}", "cafe\u{301}"))
    #expect(error.code == .invalidState)
    #expect(error.message.contains("Unicode"))
    #expect(refusal("\u{ac00}", "\u{1100}\u{1161}")?.code == .invalidState)
  }

  @Test func impossibleNamesAreRefused() {
    #expect(refusal("")?.code == .invalidState)
    #expect(refusal("a\nb")?.code == .invalidState)
    #expect(refusal("\u{85}")?.code == .invalidState)
    #expect(refusal(String(repeating: "é", count: 2049))?.code == .invalidState)
    #expect(refusal(String(repeating: "é", count: 2048)) == nil)
    #expect(refusal("ﬁ", "fi") == nil)  // compatibility is not canonical equivalence
  }

  @Test func aPlanFindsItsTensorsByTheBytesOfTheirNames() throws {
    var plan = SavePlan()
    try plan.append(TensorDescriptor(name: "caf\u{e9}", dtype: .int8, shape: [3]))
    #expect(plan.descriptor(of: "caf\u{e9}")?.shape == [3])
    #expect(plan.descriptor(of: "cafe\u{301}") == nil && plan.descriptor(of: "x") == nil)
  }

  @Test func impossibleShapesAndAliasesAreRefused() {
    var plan = SavePlan()
    let shapes = [[-1], [Int.max], [1 << 48, 1 << 48], [1 << 48, 1 << 48, 0]]
    for shape in shapes {
      #expect(
        errorCode { try plan.append(TensorDescriptor(name: "a", dtype: .int8, shape: shape)) }
          == .invalidState)
    }
    #expect(errorCode { try plan.appendAlias("b", of: "a") } == .invalidState)
  }

  @Test func whatReadersWouldRefuseIsNotSaved() throws {
    let disk = SimulatedDisk()
    let store = try disk.writer()
    var deep = SampleState()
    deep.metadata[.state, "json"] = .json(String(repeating: "[", count: 33))
    var wrongDomain = SampleState()
    wrongDomain.metadata[.metric, "loss"] = .bool(true)
    var largeValue = SampleState()
    largeValue.metadata[.state, "bytes"] = .bytes([UInt8](repeating: 0, count: 4 << 20 + 1))
    var highRank = SampleState()
    highRank.add("a", .int8, [Int](repeating: 1, count: 33), [1])
    for state in [deep, wrongDomain, largeValue, highRank] {
      #expect(errorCode { try store.save(state, step: 1) } == .overLimit)
    }
    #expect(disk.storeNames == [".lock"])
    // The generation was not spent, since no file bore it.
    #expect(try store.save(SampleState(1), step: 1).generation == 1)
  }

  @Test func aTensorLargerThanAnyFileIsRefusedBeforeAByteIsWritten() throws {
    let disk = SimulatedDisk()
    let store = try disk.writer()
    var plan = SavePlan()
    try plan.append(TensorDescriptor(name: "a", dtype: .int8, shape: [1 << 40]))
    #expect(
      errorCode { _ = try store.save(plan, step: 1) { _ in Issue.record("wrote") } } == .overLimit)
    #expect(disk.storeNames == [".lock"])
  }

  @Test func equivalentNamesInAFileAreTwoTensors() throws {
    // The library does not write such a file, so the names are exchanged afterwards.
    var state = SampleState()
    state.add("e##x", .int8, [3], [1, 2, 3])
    state.add("z##", .int8, [2], [4, 5])
    let disk = SimulatedDisk()
    try disk.writer().save(state, step: 1)
    var file = EditableFile(try disk.contents(checkpointName(1, 1)))
    file.replaceEverywhere(Array("e##x".utf8), with: Array("e\u{301}x".utf8))
    file.replaceEverywhere(Array("z##".utf8), with: Array("\u{e9}x".utf8))
    file.reseal()

    let reader = try FileInMemory(file.bytes).open()
    #expect(reader.verify().isIntact)
    #expect(try reader.read("e\u{301}x") == [1, 2, 3])
    #expect(try reader.read("\u{e9}x") == [4, 5])
    #expect(reader.descriptor(of: "\u{e9}x")?.shape == [2])
  }
}
