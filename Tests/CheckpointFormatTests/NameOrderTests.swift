import CheckpointFormat
import FuzzHarness
import Testing

@Suite("Name order")
struct NameOrderTests {
  private func table(_ names: [String]) throws -> TensorTable {
    var table = TensorTable(grid: ChunkGrid(chunkByteCount: 64))
    for name in names {
      try table.append(TensorDescriptor(name: name, dtype: .bool, shape: []))
    }
    return table
  }

  private func refusal(of order: [UInt32], _ names: [String]) throws -> FormatError? {
    let table = try table(names)
    let bytes = order.flatMap { littleEndian($0) }
    return failure { () throws(FormatError) in
      try NameOrder(decoding: bytes.rawSpan, at: 4096, of: table)
    }
  }

  @Test func orderIsThatOfBytes() throws {
    // Letters beyond ASCII begin with bytes above those of every ASCII letter.
    let table = try table(["é", "z", "a", "Z", "aa", "a\u{301}", "á"])
    let order = try NameOrder(of: table)
    let names = order.order.map { table.entries[Int($0)].descriptor.name }
    let expected = ["Z", "a", "aa", "a\u{301}", "z", "á", "é"]
    #expect(names.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
    #expect(
      try NameOrder(decoding: order.encoded.rawSpan, at: 0, of: table).order == order.order)
  }

  @Test func everyNameIsFoundAndNoOther() throws {
    let names = (0..<200).map { "layer.\($0 * 7)" }
    let table = try table(names.shuffled())
    let order = try NameOrder(of: table)
    for name in names {
      let number = try #require(order.tensor(named: name, in: table))
      #expect(table.entries[number].descriptor.name == name)
    }
    for name in ["", "layer", "layer.1", "layer.0 ", "zzz", "A"] {
      #expect(order.tensor(named: name, in: table) == nil)
    }
  }

  @Test func equivalentNamesAreTwoTensors() throws {
    let table = try table(["caf\u{E9}", "cafe\u{301}"])
    let order = try NameOrder(of: table)
    #expect(order.order == [1, 0])
    #expect(order.tensor(named: "caf\u{E9}", in: table) == 0)
    #expect(order.tensor(named: "cafe\u{301}", in: table) == 1)
    let again = try TensorTable(
      decoding: table.encoded.rawSpan, at: 0, grid: table.grid, limits: .default)
    #expect(again.encoded == table.encoded)
    #expect(table.entries[0].descriptor != table.entries[1].descriptor)
  }

  @Test func nameThatStandsTwiceIsRefused() throws {
    let twice = try table(["a", "b", "a"])
    #expect(isInconsistent(failure { () throws(FormatError) in try NameOrder(of: twice) }))
    #expect(isInconsistent(try refusal(of: [0, 2, 1], ["a", "b", "a"])))
    #expect(isInconsistent(try refusal(of: [2, 0, 1], ["a", "b", "a"])))
  }

  @Test func onlyTheAscendingPermutationIsRead() throws {
    let names = ["b", "c", "a"]
    #expect(try refusal(of: [2, 0, 1], names) == nil)
    for order in [[0, 1, 2], [2, 1, 0], [2, 0, 0], [2, 2, 1], [2, 0, 3], [2, 0, .max]] as [[UInt32]]
    {
      #expect(isInconsistent(try refusal(of: order, names)))
    }
    #expect(isInconsistent(try refusal(of: [2, 0], names)))
    #expect(isInconsistent(try refusal(of: [2, 0, 1, 1], names)))
    #expect(isInconsistent(try refusal(of: [], names)))
    #expect(try refusal(of: [], []) == nil)
  }
}
