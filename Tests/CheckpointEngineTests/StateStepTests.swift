import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: each step makes of a checkpoint what it says, in its scope and nowhere else, and refuses what it
// cannot do by its name.
@Suite struct StateStepTests {
  private let disk = SimulatedDisk()

  /// Two scopes with a tensor and a value of the same names.
  private func table() throws -> StateTable {
    var state = SampleState()
    for scope in ["a", "b"] {
      state.add(scope + "/x", .int16, [3], [1, 0, 2, 0, 255, 255])
      state.alias(scope + "/tied", of: scope + "/x")
      state.metadata[.state, scope + "/n"] = .int64(7)
      state.metadata[.stateVersion, scope] = .int64(1)
    }
    state.metadata[.stateVersion, ""] = .int64(1)
    let receipt = try disk.writer().save(state, step: 1)
    return StateTable(try CheckpointReader.open(path: receipt.path, on: disk.device, threads: 1))
  }

  private func applied(_ steps: StateStep..., in scope: String = "a") throws -> StateTable {
    var table = try table()
    for step in steps { try table.apply(step, in: scope) }
    return table
  }

  private func names(_ table: StateTable) -> [String] {
    Set(table.tensors.keys).union(table.values.keys).inOrder
  }

  private func bytes(_ table: StateTable, _ name: String) throws -> [UInt8] {
    try #require(table.tensors[StateName(name)]).bytes()
  }

  @Test func renamesTensorsValuesAndScopes() throws {
    let one = try applied(.rename("x", to: "y"), .rename("n", to: "m"))
    #expect(names(one) == ["a/m", "a/tied", "a/y", "b/n", "b/tied", "b/x"])
    #expect(one.tensors[StateName("a/y")]?.descriptor.name == "a/y")
    #expect(try bytes(one, "a/y") == bytes(one, "b/x"))
    let moved = try applied(.rename("a", to: "c/d"), in: "")
    #expect(names(moved) == ["b/n", "b/tied", "b/x", "c/d/n", "c/d/tied", "c/d/x"])
    #expect(moved.versions[StateName("c/d")] == 1 && moved.versions[StateName("a")] == nil)
    // Into itself, and out of itself.
    let nested = try applied(.rename("a", to: "a/a"), in: "")
    #expect(names(nested).prefix(3) == ["a/a/n", "a/a/tied", "a/a/x"])
    let swapped = try applied(
      .rename("a", to: "t"), .rename("b", to: "a"), .rename("t", to: "b"), in: "")
    #expect(names(swapped) == names(try table()))
  }

  @Test func dropsTensorsValuesAndScopes() throws {
    #expect(try names(applied(.drop("x"))) == ["a/n", "a/tied", "b/n", "b/tied", "b/x"])
    let one = try applied(.drop("b"), in: "")
    #expect(names(one) == ["a/n", "a/tied", "a/x"] && one.versions[StateName("b")] == nil)
  }

  @Test func reshapesAndCastsWithTheTiesKept() throws {
    let table = try applied(
      .reshape("x", to: [1, 3, 1]), .cast("x", to: .float64), .cast("tied", to: .float64),
      .cast("x", to: .int32))
    let x = try #require(table.tensors[StateName("a/x")])
    #expect(throws: CheckpointError.self) { try read(x, byteCount: 11) }
    let other = try #require(table.tensors[StateName("b/x")])
    #expect(throws: CheckpointError.self) { try read(other, byteCount: 5) }
    let given = TensorSource(other.descriptor, bytes: [1, 2, 3, 4, 5, 6])
    #expect(throws: CheckpointError.self) { try read(given, byteCount: 7) }
    #expect(try applied(.cast("x", to: .int16)).tensors[StateName("a/x")]?.bytes() == other.bytes())
    #expect(x.descriptor.shape == [1, 3, 1] && x.descriptor.dtype == .int32)
    #expect(try x.bytes() == [1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255])
    #expect(x.savedNumber == table.tensors[StateName("a/tied")]?.savedNumber)
    #expect(x.savedNumber != table.tensors[StateName("b/x")]?.savedNumber)
  }

  private func read(_ tensor: TensorSource, byteCount: Int) throws {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try unsafe bytes.withUnsafeMutableBytes { target in try unsafe tensor.read(into: target) }
  }

  @Test func addsTensorsAndValues() throws {
    let table = try applied(
      .add("zeros", dtype: .float32, shape: [2]),
      .add("ones", dtype: .uint16, shape: [3], filledWith: [1, 2]),
      .add("none", dtype: .int8, shape: [0, 4]), .add("v", value: .bool(true)))
    #expect(try bytes(table, "a/zeros") == [UInt8](repeating: 0, count: 8))
    #expect(try bytes(table, "a/ones") == [1, 2, 1, 2, 1, 2])
    #expect(try bytes(table, "a/none").isEmpty)
    #expect(table.values[StateName("a/v")] == .bool(true))
  }

  @Test func makesTensorsAndValuesOfOthers() throws {
    let table = try applied(
      .make("both", dtype: .int16, shape: [2, 3], of: ["x", "tied"]) { $0[0] + $0[1] },
      .make("x", dtype: .uint8, shape: [2], of: ["x"]) { [$0[0][0], $0[0][2]] },
      .makeValue("n") { values in
        guard case .int64(let n)? = values["n"] else { return .int64(-1) }
        return .int64(n + 1)
      })
    #expect(try bytes(table, "a/both") == [1, 0, 2, 0, 255, 255, 1, 0, 2, 0, 255, 255])
    #expect(try bytes(table, "a/x") == [1, 2])
    #expect(table.values[StateName("a/n")] == .int64(8))
    #expect(table.values[StateName("b/n")] == .int64(7))
  }

  @Test func selectionsAndAliases() throws {
    var table = try table()
    try table.apply(.cast("x", to: .float32), in: "a")
    try table.apply(.cast(.matching("**/x", "**/tied"), to: .float64), in: "")
    #expect(table.tensors[StateName("a/x")]?.descriptor.dtype == .float64)
    // What is no float stays.
    #expect(table.tensors[StateName("b/x")]?.descriptor.dtype == .int16)
    try table.apply(.alias("y", of: "x"), in: "b")
    #expect(
      table.tensors[StateName("b/y")]?.savedNumber == table.tensors[StateName("b/x")]?.savedNumber)
    try table.apply(.drop(.matching("n", "t*")), in: "b")
    #expect(names(table) == ["a/n", "a/tied", "a/x", "b/x", "b/y"])
    // A step that fails leaves what was there.
    #expect(throws: CheckpointError.self) { try table.apply(.drop("nothing"), in: "b") }
    #expect(names(table).count == 5)
  }

  private struct Failure: Error {}

  @Test func whatCannotBeDoneNamesTheStep() throws {
    let cases: [(StateStep, String)] = [
      (.rename("y", to: "z"), "'a/y' is not there"), (.rename("x", to: "n"), "which is there"),
      (.drop("y"), "'a/y' is not there"), (.reshape("x", to: [2]), "another number of elements"),
      (.reshape("x", to: [-1, -3]), "another number"),
      (.cast("y", to: .int8), "'a/y' is not there"),
      (.cast("x", to: .complex64), "int16 cannot be converted to complex64"),
      (.add("x", value: .bool(true)), "'a/x' is there already"),
      (.add("n", dtype: .int8, shape: []), "'a/n' is there already"),
      (.add("new", dtype: .int8, shape: [-1]), "impossible"),
      (.make("z", dtype: .int8, shape: [], of: ["y"]) { $0[0] }, "'a/y' is not there"),
      (.makeValue("v") { _ in throw Failure() }, "it threw"),
    ]
    for (step, sentence) in cases {
      do {
        _ = try applied(step)
        Issue.record("\(step) works")
      } catch let error as CheckpointError {
        #expect(error.code == .incompatibleState)
        #expect(error.message.contains(sentence), "\(error.message)")
        #expect(
          error.message.contains("/run/")
            && (error.message.contains(step.description) || sentence == "which is there"))
      }
    }
  }

  @Test func aTensorThatCannotBeMadeIsRefusedWhenItIsRead() throws {
    let table = try applied(
      .make("short", dtype: .int16, shape: [3], of: ["x"]) { _ in [1] },
      .make("thrown", dtype: .int16, shape: [3], of: ["x"]) { _ in throw Failure() },
      .cast("x", to: .uint8))
    for (name, sentence) in [
      ("short", "its function made 1 bytes"), ("thrown", "its function threw"),
      ("x", "element 2, -1, does not fit uint8"),
    ] {
      let tensor = try #require(table.tensors[StateName("a/" + name)])
      let error = #expect(throws: CheckpointError.self) { _ = try tensor.bytes() }
      #expect(error?.message.contains(sentence) == true)
      #expect(error?.code == .incompatibleState)
    }
  }
}
