import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: it is told whether the bits of two tensors differ, and how far apart their numbers are.
// Method: pairs whose distances follow from the definition of each format; checkpoints of both versions, cut
// into chunks of different sizes.
@Suite struct ElementDifferenceTests {
  private func reader(
    _ state: SampleState, _ chunkByteCount: Int = 64, _ version: FormatVersion = .current,
    step: UInt64 = 1
  ) throws -> CheckpointReader {
    let disk = SimulatedDisk()
    let path = try disk.writer(chunkByteCount, formatVersion: version).save(state, step: step).path
    return try CheckpointReader.open(path: path, on: disk.device, threads: 3)
  }

  private func state(_ dtype: DType, _ bytes: [UInt8]) -> SampleState {
    var state = SampleState()
    state.add("tensor", dtype, [bytes.count / dtype.byteCount], bytes)
    return state
  }

  /// The difference of single elements; nil if there is none.
  private func difference<Bits: FixedWidthInteger>(
    _ dtype: DType, _ left: [Bits], _ right: [Bits]
  ) throws -> ElementDifference? {
    let (one, other) = (
      state(dtype, left.flatMap(littleEndian)), state(dtype, right.flatMap(littleEndian))
    )
    return try reader(one).difference(from: reader(other)).tensors.first?.elements
  }

  private func difference(_ left: Float, _ right: Float) throws -> ElementDifference? {
    try difference(.float32, [left.bitPattern], [right.bitPattern])
  }

  @Test func integersOfEveryWidthAreMeasured() throws {
    for sum in [
      try difference(.int8, [1, -3 as Int8], [1, 5]),
      try difference(.int16, [1, -3 as Int16], [1, 5]),
      try difference(.int32, [1, -3 as Int32], [1, 5]),
      try difference(.int64, [1, -3 as Int64], [1, 5]),
      try difference(.uint8, [1, 13 as UInt8], [1, 5]),
      try difference(.uint16, [1, 13 as UInt16], [1, 5]),
      try difference(.uint32, [1, 13 as UInt32], [1, 5]),
      try difference(.uint64, [1, 13 as UInt64], [1, 5]),
    ] {
      #expect(sum?.changedCount == 1 && sum?.absoluteMax == 8)
    }
    #expect(try difference(.int32, [Int32.min], [Int32.max])?.absoluteMax == 0x1p32 - 1)
  }

  @Test func elementsOfEveryDTypeAreReadExactly() {
    func value(_ dtype: DType, _ bytes: [UInt8]) -> ElementValue {
      // The second of two, the first of which has all bits set.
      ElementValue(([UInt8](repeating: 255, count: bytes.count) + bytes).rawSpan, 1, of: dtype)
    }
    #expect(value(.bool, [1]) == .bool(1))
    #expect(value(.int8, [0xFE]) == .signed(-2))
    #expect(value(.int16, [0xFE, 0xFF]) == .signed(-2))
    #expect(value(.int32, [0, 0, 0, 0x80]) == .signed(Int64(Int32.min)))
    #expect(value(.int64, [0, 0, 0, 0, 0, 0, 0, 0x80]) == .signed(.min))
    #expect(value(.uint8, [0xFE]) == .unsigned(254))
    #expect(value(.uint16, [1, 2]) == .unsigned(0x201))
    #expect(value(.uint32, [1, 2, 3, 4]) == .unsigned(0x0403_0201))
    #expect(value(.uint64, littleEndian(UInt64.max - 1)) == .unsigned(.max - 1))
    #expect(value(.float16, [0, 0x3C]) == .single(1))
    #expect(value(.bfloat16, [0x80, 0xBF]) == .single(-1))
    #expect(value(.float8e4m3fn, [0x38]) == .single(1))
    #expect(value(.float8e5m2, [0x3C]) == .single(1))
    #expect(value(.float32, littleEndian(Float(2.5).bitPattern)) == .single(2.5))
    #expect(value(.float64, littleEndian((-0.1).bitPattern)) == .double(-0.1))
    #expect(
      value(.complex64, littleEndian(Float(1).bitPattern) + littleEndian(Float(-2).bitPattern))
        == .complex(real: 1, imaginary: -2))
  }

  @Test func stepsAreCountedAcrossZero() throws {
    let smallest = Float.leastNonzeroMagnitude
    #expect(try difference(smallest, -smallest)?.stepMax == 2)
    #expect(try difference(1, Float(1).nextUp)?.stepMax == 1)
    #expect(try difference(-1, Float(-1).nextUp)?.stepMax == 1)
    let zeros = try #require(try difference(0, -0.0))
    #expect(zeros.stepMax == 0 && zeros.changedCount == 1)
    #expect(zeros.absoluteMax == 0 && zeros.relativeMax == 0 && zeros.notFiniteCount == 0)
    let all = try difference(Float.greatestFiniteMagnitude, -Float.greatestFiniteMagnitude)
    #expect(all?.stepMax == UInt64(0x7f7f_ffff) * 2)
    #expect(all?.relativeMax == 2)
    let wide = try difference(
      .float64, [Double.greatestFiniteMagnitude.bitPattern],
      [(-Double.greatestFiniteMagnitude).bitPattern])
    #expect(wide?.absoluteMax == .infinity && wide?.relativeMax == 2)
    #expect(wide?.stepMax == (0x7fef_ffff_ffff_ffff as UInt64) * 2)
  }

  @Test func whatIsNotFiniteIsCountedAndNotMeasured() throws {
    let payloads = try #require(
      try difference(.float32, [0x7fc0_0000 as UInt32], [0x7fc0_0001]))
    #expect(payloads.changedCount == 1 && payloads.notFiniteCount == 1)
    #expect(payloads.absoluteMax == nil && payloads.relativeMax == nil && payloads.stepMax == nil)
    #expect(try difference(.nan, .nan) == nil)
    let mixed = try #require(
      try difference(
        .float32, [Float.nan.bitPattern, Float(1).bitPattern, Float.infinity.bitPattern],
        [Float(5).bitPattern, Float(3).bitPattern, (-Float.infinity).bitPattern]))
    #expect(mixed.changedCount == 3 && mixed.notFiniteCount == 2)
    #expect(mixed.absoluteMax == 2 && mixed.relativeMax == 2.0 / 3)
    let complex = try #require(
      try difference(
        .complex64, [Float.nan.bitPattern, Float.nan.bitPattern, 0, 0],
        [Float(1).bitPattern, Float(1).bitPattern, 0, Float(0.5).bitPattern]))
    #expect(complex.changedCount == 2 && complex.notFiniteCount == 1 && complex.absoluteMax == 0.5)
  }

  @Test(arguments: [
    (DType.float16, [0x3c00] as [UInt16], [0x3c01] as [UInt16], 1.0 / 1024),
    (.bfloat16, [0x3f80], [0x3f82], 2.0 / 128), (.float16, [0x0001], [0x8001], 2 * 0x1p-24),
  ])
  func smallFloatsAreMeasured(dtype: DType, left: [UInt16], right: [UInt16], distance: Double)
    throws
  {
    let found = try #require(try difference(dtype, left, right))
    #expect(found.absoluteMax == distance)
    #expect(found.stepMax == (left[0] == 0x3c00 ? 1 : 2))
  }

  @Test func floatsOf8BitsAreMeasured() throws {
    // 448, the largest of one, against its neighbour; and NaN, which is above it.
    let largest = try difference(.float8e4m3fn, [0x7e as UInt8], [0x7d])
    #expect(largest?.absoluteMax == 32 && largest?.stepMax == 1)
    #expect(try difference(.float8e4m3fn, [0x7e as UInt8], [0x7f])?.notFiniteCount == 1)
    #expect(try difference(.float8e5m2, [0x7b as UInt8], [0xfb])?.absoluteMax == 2 * 57344)
    #expect(try difference(.float8e5m2, [0x7b as UInt8], [0x7c])?.notFiniteCount == 1)
  }

  @Test func integersAreMeasuredAsIntegers() throws {
    // As doubles these two would be the same.
    #expect(try difference(.int64, [Int64.max], [Int64.max - 1])?.absoluteMax == 1)
    #expect(try difference(.int64, [Int64.max], [Int64.min])?.absoluteMax == 0x1p64)
    #expect(try difference(.uint64, [UInt64.max], [UInt64.max - 3])?.absoluteMax == 3)
    #expect(try difference(.int8, [Int8.min], [127])?.absoluteMax == 255)
    let small = try difference(.uint8, [2 as UInt8, 8], [4, 8])
    #expect(small?.relativeMax == 0.5 && small?.stepMax == nil && small?.changedCount == 1)
    let bool = try difference(.bool, [0 as UInt8, 1], [1, 1])
    #expect(bool?.changedCount == 1 && bool?.absoluteMax == nil)
  }

  @Test(arguments: [DType.uint8, .bfloat16, .float32, .complex64])
  func theSizesOfChunksAndTheVersionDoNotMatter(dtype: DType) throws {
    var generator = SeededGenerator(UInt64(dtype.rawValue))
    let count = 5 << 18
    // Half of it compresses.
    let bytes = (0..<count).map { $0 % 4096 < 2048 ? generator.byte() : 1 }
    var other = bytes
    let places = [0, 64 * 1024 / 8 * 8, 1 << 20, count - 1]
    for place in places { other[place] ^= 1 }
    let files = [
      try reader(state(dtype, other), 192 * 1024, .v2),
      try reader(state(dtype, other), 320 * 64, .v1),
      try reader(state(dtype, other), 2 << 20),
    ]
    let mine = try reader(state(dtype, bytes), 128 * 1024)
    let found = try files.map { file throws -> ElementDifference in
      var last: UInt64 = 0
      let result = try mine.difference(from: file) { done, total in
        #expect(done >= last && total == UInt64(count))
        last = done
      }
      #expect(last == UInt64(count))
      return try #require(result.tensors.first?.elements)
    }
    #expect(found[0].changedCount == UInt64(places.count))
    #expect(found[0] == found[1] && found[1] == found[2])
    #expect(try mine.difference(from: reader(state(dtype, bytes), 320 * 64, .v1)).isSameState)
  }
}
