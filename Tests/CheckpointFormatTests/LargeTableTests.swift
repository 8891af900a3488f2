import CheckpointFormat
import FuzzHarness
import Testing

// Goal: tables are read in place, and yet say the same of every tensor, and of every byte that is wrong,
// as if each record were taken apart field by field.
@Suite("Large tables")
struct LargeTableTests {
  private static let grid = ChunkGrid(chunkByteCount: 64)
  private static let base: UInt64 = 4096

  private func refusal(of bytes: [UInt8], limits: Limits = .default) -> FormatError? {
    failure { () throws(FormatError) in
      try TensorTable(decoding: bytes.rawSpan, at: Self.base, grid: Self.grid, limits: limits)
    }
  }

  private func record(
    dtype: UInt8 = 6, shape: [UInt64] = [1], name: [UInt8], alias: UInt32 = .max,
    firstChunk: UInt32, chunkCount: UInt32 = 1
  ) -> [UInt8] {
    [dtype, UInt8(shape.count)] + littleEndian(UInt16(name.count)) + littleEndian(alias)
      + littleEndian(firstChunk) + littleEndian(chunkCount) + shape.flatMap { littleEndian($0) }
      + name
  }

  private func table(_ records: [[UInt8]]) -> [UInt8] {
    littleEndian(UInt32(records.count)) + [0, 0, 0, 0] + records.joined()
  }

  /// A hundred thousand tensors of all kinds, every seventh with a second name.
  private func many() throws -> (descriptors: [(TensorDescriptor, Int?)], table: TensorTable) {
    var generator = SeededGenerator(seed: 7)
    var descriptors: [(TensorDescriptor, Int?)] = []
    var table = TensorTable(grid: Self.grid)
    for number in 0..<100_000 {
      let name = "layer.\(number % 97)/\(String(number, radix: 3))"
      if number % 7 == 6, descriptors[number - 1].1 == nil {
        var descriptor = descriptors[number - 1].0
        descriptor.name = name
        descriptors.append((descriptor, number - 1))
      } else {
        let rank = Int.random(in: 0...3, using: &generator)
        let shape = (0..<rank).map { _ in Int.random(in: 0...5, using: &generator) }
        let dtype = DType.allCases[number % DType.allCases.count]
        descriptors.append((TensorDescriptor(name: name, dtype: dtype, shape: shape), nil))
      }
      try table.append(descriptors[number].0, aliasOf: descriptors[number].1)
    }
    return (descriptors, table)
  }

  @Test func aHundredThousandTensorsAreReadAsTheyWereAdded() throws {
    let (descriptors, table) = try many()
    let read = try TensorTable(
      decoding: table.encoded, at: Self.base, grid: Self.grid, limits: .default)
    #expect(read == table && read.chunkCount == table.chunkCount)
    try #require(read.entries.count == descriptors.count)
    var chunkCount = 0
    for (entry, (descriptor, alias)) in zip(read.entries, descriptors) {
      let isRight =
        entry.descriptor == descriptor && entry.aliasOf == alias && entry.dtype == descriptor.dtype
        && entry.isNamed(descriptor.name) && entry.hasShape(descriptor.shape)
        && entry.byteCount == descriptor.checkedByteCount
      try #require(isRight, "\(descriptor.name)")
      for other in [descriptor.shape + [1], descriptor.shape.map { $0 + 1 }, [-1]] {
        try #require(entry.hasShape(other) == (other == descriptor.shape), "\(other)")
      }
      try #require(!entry.isNamed(descriptor.name + "x") && !entry.isNamed(""))
      let first = alias.map { read.entries[$0].firstChunk } ?? chunkCount
      try #require(entry.firstChunk == first, "\(descriptor.name)")
      if alias == nil { chunkCount += entry.chunkCount }
    }
    #expect(chunkCount == read.chunkCount)
  }

  @Test func everyOneOfManyNamesIsFoundWhateverIsGuessed() throws {
    let (descriptors, table) = try many()
    let order = try NameOrder(of: table)
    let sorted = descriptors.indices.sorted {
      descriptors[$0].0.name.utf8.lexicographicallyPrecedes(descriptors[$1].0.name.utf8)
    }
    #expect(order.order == sorted.map { UInt32($0) })
    let read = try NameOrder(decoding: order.encoded.rawSpan, at: 0, of: table)
    for number in stride(from: 0, to: descriptors.count, by: 11) {
      let name = descriptors[number].0.name
      for guess in [-1, number, number + 1, 0, Int.max] {
        try #require(read.tensor(named: name, in: table, trying: guess) == number)
      }
      try #require(read.tensor(named: name + "0x", in: table, trying: number) == nil)
      try #require(read.tensor(named: String(name.dropLast()) + "~", in: table) == nil)
    }
  }

  /// Lengths around the eight bytes that are compared at once, with all beginnings in common.
  @Test func namesThatDifferInOneByteAreInTheOrderOfIt() throws {
    var names: [String] = []
    for length in 1...26 {
      let stem = String(repeating: "m", count: length - 1)
      names += ["!", "A", "n", "~", "é", "重", "😀"].map { stem + $0 }
    }
    names.append(String(repeating: "m", count: 30))
    var generator = SeededGenerator(seed: 3)
    var table = TensorTable(grid: Self.grid)
    for name in names.shuffled(using: &generator) {
      try table.append(TensorDescriptor(name: name, dtype: .bool, shape: []))
    }
    let order = try NameOrder(of: table)
    let found = order.order.map { Array(table.entries[Int($0)].name.utf8) }
    let expected = names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(found == expected)
    for name in names {
      let number = try #require(order.tensor(named: name, in: table))
      #expect(table.entries[number].isNamed(name))
    }
  }

  @Test func namesInAnyScriptStandAndComeBack() throws {
    let names = [
      "weights", "Gewichtsmaß", "βάρη/слой.3", "重み/層.12/注意", "وزن", "무게", "भार", "😀😀😀/👩‍👩‍👧",
      "e\u{301}", "é", "\u{10FFFF}", "\u{A0}x", "12345678é", "1234567é", "é1234567",
    ]
    let records = names.enumerated().map {
      record(name: Array($0.element.utf8), firstChunk: UInt32($0.offset))
    }
    let read = try TensorTable(
      decoding: table(records), at: Self.base, grid: Self.grid, limits: .default)
    #expect(read.entries.map { Array($0.name.utf8) } == names.map { Array($0.utf8) })
    let order = try NameOrder(of: read)
    for (number, name) in names.enumerated() {
      #expect(order.tensor(named: name, in: read) == number)
    }
  }

  /// What no name may have, at every place of names of every length: the scan takes eight bytes at once.
  @Test func oneBadByteIsFoundWhereverItStands() {
    let unprintable = FormatError.Kind.inconsistent("a tensor's name is empty or unprintable")
    let cases: [(bytes: [UInt8], kind: FormatError.Kind, isInName: Bool)] = [
      ([0x00], unprintable, false), ([0x1F], unprintable, false), ([0x7F], unprintable, false),
      ([0xC2, 0x80], unprintable, false), ([0xC2, 0x9F], unprintable, false),
      ([0xFF], .invalidUTF8, true), ([0x80], .invalidUTF8, true), ([0xC3], .invalidUTF8, true),
      ([0xC0, 0xAF], .invalidUTF8, true), ([0xED, 0xA0, 0x80], .invalidUTF8, true),
      ([0x01, 0xFF], .invalidUTF8, true),
    ]
    for length in 0...18 {
      for place in 0...length {
        for (bad, kind, isInName) in cases {
          var name = [UInt8](repeating: 0x6D, count: length)
          name.insert(contentsOf: bad, at: place)
          let first = record(name: [0x61], firstChunk: 0)
          let bytes = table([first, record(name: name, firstChunk: 1)])
          let offset = Self.base + 8 + UInt64(first.count) + (isInName ? 24 : 0)
          #expect(
            refusal(of: bytes) == FormatError(kind, at: offset), "\(bad) at \(place) of \(length)")
        }
      }
    }
  }

  /// The bounds of what is allowed stand beside what is forbidden.
  @Test func theBytesNextToForbiddenOnesAreAllowed() {
    for good in [[0x20], [0x7E], [0xC2, 0xA0], [0xC3, 0x80], [0xE2, 0x82, 0x80]] as [[UInt8]] {
      for length in 0...10 {
        let name = [UInt8](repeating: 0x6D, count: length) + good
        #expect(refusal(of: table([record(name: name, firstChunk: 0)])) == nil, "\(good)")
      }
    }
  }

  @Test func eachLimitIsMetExactlyAndNamedWithItsOffset() {
    let second = Self.base + 8 + 25
    let names = [[0x61], [0x62]] as [[UInt8]]
    func pair(shape: [UInt64] = [1], name: [UInt8] = [0x62], chunkCount: UInt32 = 1) -> [UInt8] {
      table([
        record(name: names[0], firstChunk: 0),
        record(shape: shape, name: name, firstChunk: 1, chunkCount: chunkCount),
      ])
    }
    var limits = Limits.default
    func expect(
      _ bytes: [UInt8], _ what: StaticText, _ value: UInt64, _ limit: UInt64, at offset: UInt64
    ) {
      let kind = FormatError.Kind.overLimit(what, value: value, limit: limit)
      #expect(refusal(of: bytes, limits: limits) == FormatError(kind, at: offset))
    }
    limits.tensorCountMax = 1
    expect(pair(), "number of tensors", 2, 1, at: Self.base)
    limits = .default
    limits.rankMax = 2
    #expect(refusal(of: pair(shape: [1, 1]), limits: limits) == nil)
    expect(pair(shape: [1, 1, 1]), "rank of a tensor", 3, 2, at: second)
    limits = .default
    limits.nameByteCountMax = 9
    let nine = [UInt8](repeating: 0x62, count: 9)
    #expect(refusal(of: pair(name: nine), limits: limits) == nil)
    expect(pair(name: nine + [0x62]), "length of a tensor's name", 10, 9, at: second)
    limits = .default
    limits.chunkCountMax = 3
    #expect(refusal(of: pair(shape: [128], chunkCount: 2), limits: limits) == nil)
    expect(pair(shape: [129], chunkCount: 3), "number of chunks", 3, 3, at: second)
  }

  @Test func aTableThatEndsAnywhereSaysWhatIsMissingAndWhere() {
    let whole = table([record(shape: [1, 2], name: Array("name".utf8), firstChunk: 0)])
    // The first byte and the length of each field behind the head, which is compared with the count.
    let fields = [8: 1, 9: 1, 10: 2, 12: 4, 16: 4, 20: 4, 24: 8, 32: 8, 40: 4]
    for end in 8 + 17..<whole.count {
      let error = refusal(of: Array(whole[..<end]))
      let start = fields.keys.filter { $0 <= end }.max() ?? 0
      let expected = FormatError(
        .truncated(needed: UInt64(fields[start] ?? 0)), at: Self.base + UInt64(start))
      #expect(error == expected, "\(end)")
    }
  }

  @Test func tensorThatIsRefusedLeavesTheTableAsItWas() throws {
    var table = TensorTable(grid: Self.grid)
    try table.append(TensorDescriptor(name: "a", dtype: .int8, shape: [65]))
    let before = table
    let bad: [(TensorDescriptor, Int?)] = [
      (TensorDescriptor(name: "", dtype: .int8, shape: []), nil),
      (TensorDescriptor(name: "b\u{7}", dtype: .int8, shape: []), nil),
      (TensorDescriptor(name: "b", dtype: .int8, shape: [-1]), nil),
      (TensorDescriptor(name: "b", dtype: .int8, shape: [64]), 0),
      (TensorDescriptor(name: "b", dtype: .uint8, shape: [65]), 0),
      (TensorDescriptor(name: "b", dtype: .int8, shape: [65]), 1),
      (TensorDescriptor(name: "b", dtype: .int8, shape: [65]), -1),
      (TensorDescriptor(name: "b", dtype: .int8, shape: [65]), Int(UInt32.max)),
    ]
    for (descriptor, alias) in bad {
      let error = failure { () throws(FormatError) in
        try table.append(descriptor, aliasOf: alias)
      }
      #expect(isInconsistent(error), "\(descriptor), \(String(describing: alias))")
      #expect(table == before && table.entries.count == 1 && table.chunkCount == 2)
    }
    try table.append(TensorDescriptor(name: "b", dtype: .int8, shape: [65]), aliasOf: 0)
    #expect(table.entries[1].firstChunk == 0 && table.chunkCount == 2)
  }
}
