import CheckpointFormat
import FuzzHarness
import Testing

@Suite("Tensor table")
struct TensorTableTests {
  private static let grid = ChunkGrid(chunkByteCount: 1 << 20)

  private func append(
    _ descriptor: TensorDescriptor, limits: Limits = .default
  ) -> FormatError? {
    failure { () throws(FormatError) in
      var table = TensorTable(grid: Self.grid)
      try table.append(descriptor, limits: limits)
    }
  }

  private func decode(
    _ bytes: [UInt8], limits: Limits = .default
  ) throws(FormatError) -> TensorTable {
    try TensorTable(decoding: bytes.rawSpan, at: 4096, grid: Self.grid, limits: limits)
  }

  /// One record by its fields.
  private func record(
    dtype: UInt8 = 12, shape: [UInt64] = [], name: [UInt8] = [0x77], alias: UInt32 = .max,
    firstChunk: UInt32 = 0, chunkCount: UInt32 = 1
  ) -> [UInt8] {
    [dtype, UInt8(shape.count)] + littleEndian(UInt16(name.count)) + littleEndian(alias)
      + littleEndian(firstChunk) + littleEndian(chunkCount) + shape.flatMap { littleEndian($0) }
      + name
  }

  private func table(_ records: [UInt8]...) -> [UInt8] {
    littleEndian(UInt32(records.count)) + [0, 0, 0, 0] + records.joined()
  }

  private func refusal(of bytes: [UInt8], limits: Limits = .default) -> FormatError? {
    failure { () throws(FormatError) in try decode(bytes, limits: limits) }
  }

  @Test func recordsByHandAreTheEncoding() throws {
    var expected = TensorTable(grid: Self.grid)
    try expected.append(TensorDescriptor(name: "w", dtype: .float32, shape: [2, 3]))
    try expected.append(TensorDescriptor(name: "t", dtype: .float32, shape: [2, 3]), aliasOf: 0)
    let bytes = table(record(shape: [2, 3]), record(shape: [2, 3], name: [0x74], alias: 0))
    #expect(expected.encoded == bytes)
    #expect(try decode(bytes) == expected)
  }

  @Test func entriesAndTablesAreTheSameIfTheirRecordsAre() throws {
    var one = TensorTable(grid: Self.grid)
    try one.append(TensorDescriptor(name: "w", dtype: .float32, shape: [2, 3]))
    var other = TensorTable(grid: Self.grid)
    for (name, dtype, shape) in [
      ("w", .float32, [2, 3]), ("v", .float32, [2, 3]), ("w", .int32, [2, 3]),
      ("w", .float32, [3, 2]), ("w", .float32, [6]),
    ] as [(String, DType, [Int])] {
      var table = TensorTable(grid: Self.grid)
      try table.append(TensorDescriptor(name: name, dtype: dtype, shape: shape))
      let isSame = name == "w" && dtype == .float32 && shape == [2, 3]
      #expect((table.entries[0] == one.entries[0]) == isSame, "\(name) \(dtype) \(shape)")
      #expect(Set([table.entries[0], one.entries[0]]).count == (isSame ? 1 : 2))
      #expect(Set([table, one]).count == (isSame ? 1 : 2))
    }
    // Wherever they stand: the first tensor has no chunk, so that the second has the same ones.
    try other.append(TensorDescriptor(name: "empty", dtype: .int8, shape: [0]))
    try other.append(TensorDescriptor(name: "w", dtype: .float32, shape: [2, 3]))
    #expect(other.entries[1] == one.entries[0] && other != one)
    #expect(TensorTable(grid: Self.grid) != TensorTable(grid: ChunkGrid(chunkByteCount: 64)))
  }

  @Test func oneTensorTooManyIsRefused() throws {
    var limits = Limits.default
    limits.tensorCountMax = 2
    var table = TensorTable(grid: Self.grid)
    for name in ["a", "b"] {
      try table.append(TensorDescriptor(name: name, dtype: .int8, shape: []), limits: limits)
    }
    let full = table
    let error = failure { () throws(FormatError) in
      try table.append(TensorDescriptor(name: "c", dtype: .int8, shape: []), limits: limits)
    }
    #expect(isOverLimit(error))
    #expect(table == full)
  }

  @Test func tableOfEveryDTypeAndRankRoundTrips() throws {
    var table = TensorTable(grid: Self.grid)
    for dtype in DType.allCases {
      for rank in [0, 1, 2, 31, 32] {
        try table.append(
          TensorDescriptor(
            name: "\(dtype.name)/\(rank)", dtype: dtype,
            shape: [Int](repeating: 1, count: rank)))
      }
    }
    #expect(try decode(table.encoded) == table)
    #expect(table.chunkCount == DType.allCases.count * 5)
  }

  @Test func codesOfDTypesNeverChange() {
    #expect(DType.allCases.map(\.rawValue) == Array(1...16))
    #expect(
      DType.allCases.map(\.name) == [
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2", "complex64",
      ])
    #expect(DType.allCases.map(\.byteCount) == [1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 1, 1, 8])
    for code in [0] + Array(17...255) as [UInt8] {
      #expect(isInconsistent(refusal(of: table(record(dtype: code)))))
    }
  }

  @Test(
    arguments: [
      ([], 1), ([1], 1), ([0], 0), ([0, 4], 0), ([4, 0], 0), ([262_144], 1), ([262_145], 2),
      ([524_288], 2), ([524_289], 3),
    ] as [([UInt64], Int)])
  func chunkCountFollowsFromTheShape(shape: [UInt64], chunkCount: Int) throws {
    let dimensions = shape.map { Int($0) }
    var expected = TensorTable(grid: Self.grid)
    try expected.append(TensorDescriptor(name: "w", dtype: .float32, shape: dimensions))
    #expect(expected.chunkCount == chunkCount)
    let count = UInt32(chunkCount)
    #expect(refusal(of: table(record(shape: shape, chunkCount: count))) == nil)
    #expect(isInconsistent(refusal(of: table(record(shape: shape, chunkCount: count + 1)))))
    #expect(
      isInconsistent(
        refusal(of: table(record(shape: shape, firstChunk: 1, chunkCount: count)))))
  }

  @Test(
    arguments: [
      [1 << 32, 1 << 32], [1 << 32, 1 << 32, 1 << 32], [1 << 48, 1 << 48], [1 << 48, 1 << 14],
      [0, 1 << 48, 1 << 48], [1 << 48, 0, 1 << 48], [1 << 48, 1 << 48, 0], [(1 << 48) + 1],
      [0, (1 << 48) + 1], [1 << 63], [.max], [.max, 0], [.max, .max], [1 << 62, 4], [1 << 61, 1],
    ] as [[UInt64]])
  func shapeThatOverflowsIsRefusedEvenWithAZeroInIt(shape: [UInt64]) {
    let chunkCount: UInt32 = shape.contains(0) ? 0 : 1
    let error = refusal(of: table(record(shape: shape, chunkCount: chunkCount)))
    #expect(error == FormatError(.inconsistent("a tensor's shape is impossible"), at: 4104))
  }

  @Test func largestShapesAreMeasuredExactly() {
    func byteCount(_ dtype: DType, _ shape: [Int]) -> UInt64? {
      TensorDescriptor(name: "w", dtype: dtype, shape: shape).checkedByteCount
    }
    #expect(byteCount(.uint8, [1 << 48]) == 1 << 48)
    #expect(byteCount(.uint8, [1 << 48, 1 << 14]) == 1 << 62)
    #expect(byteCount(.uint8, [1 << 48, (1 << 14) + 1]) == nil)
    #expect(byteCount(.float64, [1 << 48, 1 << 11]) == 1 << 62)
    #expect(byteCount(.float64, [1 << 48, 1 << 12]) == nil)
    #expect(byteCount(.float64, [0, 1 << 48, 1 << 11]) == 0)
    #expect(byteCount(.float64, [0, 1 << 48, 1 << 12]) == nil)
    #expect(byteCount(.uint8, [-1]) == nil)
    #expect(byteCount(.uint8, [0, -1]) == nil)
    #expect(byteCount(.uint8, [Int](repeating: 0, count: 32)) == 0)
  }

  @Test func tensorOfMoreChunksThanAFileHoldsIsRefused() {
    let grid = Self.grid.chunkByteCount
    let most = Limits.default.chunkCountMax
    func tensor(_ byteCount: Int) -> TensorDescriptor {
      TensorDescriptor(name: "w", dtype: .uint8, shape: [byteCount])
    }
    #expect(append(tensor(grid * most)) == nil)
    #expect(isOverLimit(append(tensor(grid * most + 1))))
    #expect(isOverLimit(append(tensor(1 << 48))))
    let error = failure { () throws(FormatError) in
      var table = TensorTable(grid: Self.grid)
      try table.append(tensor(grid * most))
      try table.append(TensorDescriptor(name: "none", dtype: .uint8, shape: [0]))
      try table.append(TensorDescriptor(name: "one", dtype: .uint8, shape: [1]))
    }
    #expect(isOverLimit(error))
  }

  @Test func ranksAreLimited() {
    func tensor(_ rank: Int) -> TensorDescriptor {
      TensorDescriptor(name: "w", dtype: .bool, shape: [Int](repeating: 1, count: rank))
    }
    #expect(append(tensor(32)) == nil)
    #expect(isOverLimit(append(tensor(33))))
    #expect(isOverLimit(append(tensor(256))))
    #expect(append(tensor(16), limits: .strict) == nil)
    #expect(isOverLimit(append(tensor(17), limits: .strict)))
    let ones = [UInt64](repeating: 1, count: 255)
    #expect(isOverLimit(refusal(of: table(record(shape: ones)))))
  }

  @Test func limitsRaisedBeyondTheDefaultHaveNoEffect() {
    var limits = Limits.default
    limits.rankMax = 1000
    limits.nameByteCountMax = 100_000
    limits.chunkCountMax = .max
    let ones = TensorDescriptor(name: "w", dtype: .bool, shape: [Int](repeating: 1, count: 256))
    #expect(isOverLimit(append(ones, limits: limits)))
    let long = TensorDescriptor(name: String(repeating: "n", count: 4097), dtype: .bool, shape: [])
    #expect(isOverLimit(append(long, limits: limits)))
    limits.rankMax = -1
    #expect(
      isOverLimit(append(TensorDescriptor(name: "w", dtype: .bool, shape: []), limits: limits))
        == false)
    #expect(
      isOverLimit(append(TensorDescriptor(name: "w", dtype: .bool, shape: [1]), limits: limits)))
  }

  @Test func namesAreOneTo4096Bytes() {
    func tensor(_ name: String) -> TensorDescriptor {
      TensorDescriptor(name: name, dtype: .bool, shape: [])
    }
    #expect(isInconsistent(append(tensor(""))))
    #expect(append(tensor(String(repeating: "n", count: 4096))) == nil)
    #expect(isOverLimit(append(tensor(String(repeating: "n", count: 4097)))))
    #expect(append(tensor(String(repeating: "é", count: 2048))) == nil)
    #expect(isOverLimit(append(tensor(String(repeating: "é", count: 2049)))))
    #expect(append(tensor(String(repeating: "n", count: 512)), limits: .strict) == nil)
    #expect(isOverLimit(append(tensor(String(repeating: "n", count: 513)), limits: .strict)))
    #expect(isInconsistent(refusal(of: table(record(shape: [1], name: [])))))
  }

  @Test func namesWithControlCharactersAreRefused() {
    let controls = Array(0..<0x20) + Array(0x7F...0x9F) as [UInt32]
    for value in controls {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let name = "a\(Character(scalar))b"
      #expect(isInconsistent(refusal(of: table(record(name: Array(name.utf8))))))
    }
    for name in ["a b", "a/b.c", "\u{A0}", "重み", "😀", "\u{301}"] {
      #expect(refusal(of: table(record(name: Array(name.utf8)))) == nil)
    }
  }

  @Test func nameThatIsNotUTF8IsRefused() {
    #expect(refusal(of: table(record(name: [0xC3])))?.kind == .invalidUTF8)
    #expect(refusal(of: table(record(name: [0x61, 0xFF])))?.kind == .invalidUTF8)
  }

  @Test func aliasFollowsItsTensorAndIsLikeIt() {
    let target = record(shape: [2, 3])
    func alias(_ number: UInt32, dtype: UInt8 = 12, shape: [UInt64] = [2, 3]) -> [UInt8] {
      record(dtype: dtype, shape: shape, name: [0x74], alias: number)
    }
    #expect(refusal(of: table(target, alias(0))) == nil)
    #expect(isInconsistent(refusal(of: table(target, alias(1)))))  // itself
    #expect(isInconsistent(refusal(of: table(alias(1), target))))  // a later one
    #expect(isInconsistent(refusal(of: table(target, alias(.max - 1)))))
    #expect(isInconsistent(refusal(of: table(target, alias(0, dtype: 4)))))
    #expect(isInconsistent(refusal(of: table(target, alias(0, shape: [3, 2])))))
    let second = record(shape: [2, 3], name: [0x75], alias: 1)
    #expect(isInconsistent(refusal(of: table(target, alias(0), second))))  // of an alias
  }

  @Test func aliasesTakeNoChunksOfTheirOwn() throws {
    let bytes = table(
      record(), record(name: [0x61], alias: 0), record(name: [0x62], firstChunk: 1))
    let table = try decode(bytes)
    #expect(table.chunkCount == 2)
    #expect(table.entries.map(\.firstChunk) == [0, 0, 1])
    #expect(
      isInconsistent(
        refusal(of: self.table(record(), record(name: [0x61], alias: 0, firstChunk: 1)))))
  }

  @Test(arguments: [2, 1000, 1 << 20, (1 << 20) + 1, UInt32.max] as [UInt32])
  func hugeCountOverATinyBodyIsRefusedBeforeMemoryIsAskedFor(count: UInt32) {
    let bytes = littleEndian(count) + [0, 0, 0, 0] + record()
    let error = refusal(of: bytes)
    #expect(count > 1 << 20 ? isOverLimit(error) : isTruncated(error))
  }

  @Test func bytesAfterTheLastRecordAreRefused() {
    #expect(isInconsistent(refusal(of: table(record()) + [0])))
    #expect(refusal(of: table(record()).overwriting(at: 4, with: [1]))?.kind == .reservedNotZero)
  }

  @Test func strictLimitsRefuseManyTensors() throws {
    var table = TensorTable(grid: Self.grid)
    for number in 0...65_536 {
      try table.append(TensorDescriptor(name: "\(number)", dtype: .bool, shape: [0]))
    }
    #expect(refusal(of: table.encoded) == nil)
    #expect(isOverLimit(refusal(of: table.encoded, limits: .strict)))
  }
}
