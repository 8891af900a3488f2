import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: a tensor that is taken apart or put together along an axis has each element where it belongs,
// whichever range of it is read.
// Method: random shapes, against a gathering element by element.
@Suite struct TensorPartsTests {
  private let disk = SimulatedDisk()

  private func table(_ state: SampleState) throws -> StateTable {
    let receipt = try disk.writer().save(state, step: 1)
    return StateTable(try CheckpointReader.open(path: receipt.path, on: disk.device, threads: 1))
  }

  /// The elements of `bytes` whose index along the axis is in `range`, in order.
  private func gathered(
    _ bytes: [UInt8], _ shape: [Int], _ width: Int, axis: Int, _ range: Range<Int>
  ) -> [UInt8] {
    var result: [UInt8] = []
    let inner = shape[(axis + 1)...].reduce(1, *)
    for element in 0..<bytes.count / width where range.contains(element / inner % shape[axis]) {
      result += bytes[element * width..<(element + 1) * width]
    }
    return result
  }

  private func bytes(_ table: StateTable, _ name: String) throws -> [UInt8] {
    try #require(table.tensors[StateName(name)]).bytes()
  }

  /// All of a tensor, read in ranges of whole elements.
  private func inRanges(
    _ tensor: TensorSource, _ generator: inout SeededGenerator
  ) throws -> [UInt8] {
    let width = tensor.descriptor.dtype.byteCount
    let count = Int(tensor.byteCount) / width
    var result: [UInt8] = []
    while result.count < count * width {
      let start = result.count
      let end = start + width * (1 + generator.below(count - start / width))
      result += try tensor.bytes(in: UInt64(start)..<UInt64(end))
    }
    return result
  }

  @Test(arguments: 0..<60) func partsAreWhereTheyBelong(seed: Int) throws {
    var generator = SeededGenerator(UInt64(seed))
    let dtype = [DType.uint8, .int16, .float32, .complex64][generator.below(4)]
    var shape = (0..<1 + generator.below(4)).map { _ in 1 + generator.below(6) }
    let axis = generator.below(shape.count)
    let sizes = (0..<1 + generator.below(4)).map { _ in generator.below(5) }
    shape[axis] = sizes.reduce(0, +)
    let width = dtype.byteCount
    let whole = (0..<shape.reduce(width, *)).map { _ in generator.byte() }
    var state = SampleState()
    state.add("x", dtype, shape, whole)

    var table = try table(state)
    let names = sizes.indices.map { "part\($0)" }
    try table.apply(.split("x", into: names, axis: axis, sizes: sizes), in: "")
    #expect(table.tensors.count == names.count)
    var start = 0
    for (name, size) in zip(names, sizes) {
      let part = try #require(table.tensors[StateName(name)])
      let expected = gathered(whole, shape, width, axis: axis, start..<start + size)
      #expect(try part.bytes() == expected)
      #expect(try inRanges(part, &generator) == expected)
      start += size
    }
    try table.apply(.merge(names, into: "y", axis: axis), in: "")
    let joined = try #require(table.tensors[StateName("y")])
    #expect(table.tensors.count == 1 && joined.descriptor.shape == shape)
    #expect(try joined.bytes() == whole)
    #expect(try inRanges(joined, &generator) == whole)
    // How long parts of one length were needs no telling.
    #expect(table.losses.isEmpty == (Set(sizes).count == 1))
  }

  @Test func tensorInMemoryIsFoundAsOneInAFileIs() throws {
    var state = SampleState()
    state.add("x", .uint8, [3], [1, 2, 3])
    let descriptor = state.tensors[0].descriptor
    var memory = StateTable(path: "memory")
    #expect(memory.tensors.keys == [])
    memory.set(TensorSource(descriptor, bytes: [1, 2, 3]), named: "x")
    for table in [memory, try table(state)] {
      #expect(table.tensors.keys.inOrder == ["x"])
      #expect(table.tensors.find("y") == nil)
      let found = try #require(table.tensors.find("x"))
      #expect(found.descriptor == descriptor && found.hasShape([3]) && found.byteCount == 3)
      for count in 2...4 {
        var bytes = [UInt8](repeating: 0, count: count)
        let code = errorCode {
          // SAFETY: the array's own memory, lent for this call.
          unsafe try bytes.withUnsafeMutableBytes { unsafe try found.read(into: $0) }
        }
        #expect(code == (count == 3 ? nil : .incompatibleState), "\(count) bytes")
        if count == 3 { #expect(bytes == [1, 2, 3]) }
      }
    }
  }

  @Test func partsOfNothingAreEmpty() throws {
    var table = StateTable(path: "memory")
    let descriptor = TensorDescriptor(name: "x", dtype: .uint8, shape: [0, 4])
    table.set(TensorSource(descriptor, bytes: []), named: "x")
    try table.apply(.split("x", into: ["a", "b"], axis: 1), in: "")
    #expect(try bytes(table, "a") == [] && bytes(table, "b") == [])
    try table.apply(.merge(["a", "b"], into: "x", axis: 1), in: "")
    #expect(try bytes(table, "x") == [])
  }

  @Test func tensorOfOtherBytesThanItsShapeHasIsRefused() {
    let descriptor = TensorDescriptor(name: "x", dtype: .uint8, shape: [3])
    for count in [0, 2, 4] {
      let source = TensorSource(descriptor, bytes: [UInt8](repeating: 1, count: count))
      #expect(errorCode { _ = try source.bytes() } == .incompatibleState, "\(count) bytes")
    }
  }

  /// Of rows that are larger than what is put together at once, and of many that are smaller.
  @Test(arguments: [[3, 5 << 20], [2048, 5000]]) func largeRowsAndManySmallOnes(
    shape: [Int]
  ) throws {
    let count = shape.reduce(1, *)
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    var table = StateTable(path: "memory")
    let descriptor = TensorDescriptor(name: "x", dtype: .uint8, shape: shape)
    table.set(TensorSource(descriptor, bytes: bytes), named: "x")
    let first = shape[1] / 3
    try table.apply(
      .split("x", into: ["a", "b"], axis: 1, sizes: [first, shape[1] - first]), in: "")
    let b = try #require(table.tensors[StateName("b")]).bytes()
    for row in 0..<shape[0] {
      let (from, width) = (row * shape[1] + first, shape[1] - first)
      #expect(b[row * width..<(row + 1) * width] == bytes[from..<from + width])
    }
    try table.apply(.merge(["a", "b"], into: "x", axis: 1), in: "")
    #expect(try self.bytes(table, "x") == bytes)
  }

  @Test func whatDoesNotFitIsRefusedByName() throws {
    var state = SampleState()
    state.add("x", .int16, [4, 3], [UInt8](repeating: 1, count: 24))
    state.add("y", .int16, [4, 2], [UInt8](repeating: 1, count: 16))
    state.add("z", .uint8, [4, 3], [UInt8](repeating: 1, count: 12))
    state.add("scalar", .uint8, [], [1])
    let cases: [(StateStep, String)] = [
      (.split("x", into: ["a", "b", "c"]), "4 along axis 0 cannot be 3 parts of equal length"),
      (.split("x", into: ["a", "b"], axis: 1, sizes: [1, 1]), "cannot be 2 parts of the lengths"),
      (.split("x", into: ["a", "b"], sizes: [5, -1]), "of the lengths [5, -1]"),
      (.split("x", into: ["a", "b"], sizes: [.max, .max]), "of the lengths"),
      (.split("x", into: ["a"], axis: 2), "has no axis 2"),
      (.split("x", into: ["a"], axis: -1), "has no axis -1"),
      (.split("x", into: []), "cannot be 0 parts"),
      (.split("scalar", into: ["a"]), "has no axis 0"),
      (.split("x", into: ["a", "y"]), "'y' is there already"),
      (.split("w", into: ["a", "b"]), "'w' is not there"),
      (
        .merge(["x", "y"], into: "a"), "'y' of int16 and shape [4, 2] does not fit int16 of [4, 3]"
      ),
      (.merge(["x", "z"], into: "a"), "'z' of uint8"),
      (.merge(["x", "scalar"], into: "a"), "does not fit"),
      (.merge(["x"], into: "a", axis: 2), "no axis 2"),
      (.merge([], into: "a"), "no axis 0"),
      (.merge(["x", "x2"], into: "a"), "'x2' is not there"),
      (.merge(["x"], into: "y"), "'y' is there already"),
    ]
    for (step, message) in cases {
      var table = try table(state)
      let error = #expect(throws: CheckpointError.self) { try table.apply(step, in: "") }
      #expect(error?.code == .incompatibleState)
      #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
  }

  @Test func partsOfWhatIsEmpty() throws {
    var table = StateTable(path: "memory")
    let descriptor = TensorDescriptor(name: "x", dtype: .int64, shape: [0, 1 << 46, 4])
    table.set(TensorSource(descriptor, bytes: []), named: "x")
    try table.apply(.split("x", into: ["a", "b"], axis: 1), in: "")
    #expect(try bytes(table, "a").isEmpty)
    try table.apply(.merge(["a", "b"], into: "x", axis: 1), in: "")
    #expect(try bytes(table, "x").isEmpty)
  }

  /// A cast loses nothing exactly if every element comes back.
  @Test func castsThatLoseNothingAreKnown() {
    typealias Extreme = (dtype: DType, least: [Double], most: [Double])
    func exact(_ one: DType, _ other: DType) -> Bool { TensorCast.isExact(from: one, to: other) }
    let order: [DType: Set<DType>] = [
      .bool: [
        .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64, .float16, .bfloat16,
        .float32, .float64,
      ],
      .int8: [.int16, .int32, .int64, .float16, .bfloat16, .float32, .float64],
      .int16: [.int32, .int64, .float32, .float64], .int32: [.int64, .float64], .int64: [],
      .uint8: [
        .uint16, .uint32, .uint64, .int16, .int32, .int64, .float16, .bfloat16, .float32, .float64,
      ],
      .uint16: [.uint32, .uint64, .int32, .int64, .float32, .float64],
      .uint32: [.uint64, .int64, .float64], .uint64: [],
      .float16: [.float32, .float64], .bfloat16: [.float32, .float64], .float32: [.float64],
      .float64: [],
    ]
    for one in DType.allCases {
      for other in DType.allCases {
        #expect(
          exact(one, other) == (one == other || order[one]?.contains(other) == true),
          "\(one) to \(other)")
      }
    }
  }
}
