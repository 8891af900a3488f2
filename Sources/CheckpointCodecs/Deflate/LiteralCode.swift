/// A code for the bytes of a plane, and the head that tells a decoder of it: that of a DEFLATE block with
/// dynamic codes, which is its stream's last, holds literals only, and has no code for distances.
///
/// - SeeAlso: RFC 1951, section 3.2.7.
struct LiteralCode {
  /// The longest code.
  ///
  /// With it, five codes fit a load of 64 bits, and a table of them a half of the first cache. A longer one
  /// would make planes of exponents smaller by less than 0.01 %.
  static let lengthMax = 11
  /// 256 literals, and the end of the block.
  static let symbolCount = 257
  static let endOfBlock = 256

  let lengths: [UInt8]
  let head: BitWriter
  let codes: [UInt16]

  /// - Parameter counts: How often each symbol occurs; at least two do, the end of the block among them.
  init(of counts: [UInt32]) {
    lengths = HuffmanCode.lengths(of: counts, limit: Self.lengthMax)
    codes = HuffmanCode.codes(of: lengths, limit: Self.lengthMax)
    head = Self.head(of: lengths)
  }

  /// Bytes of a stream whose literals have so many bits together.
  func streamByteCount(bitCount: Int) -> Int {
    (head.bitCount + bitCount + Int(lengths[Self.endOfBlock]) + 7) / 8
  }

  /// Bits of literals that occur so often.
  func bitCount(of counts: [UInt32]) -> Int {
    zip(counts, lengths).reduce(0) { $0 + Int($1.0) * Int($1.1) }
  }

  // MARK: The head

  /// In which order the lengths of the code for lengths stand.
  static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  /// A length, or a repetition: the symbol, and what its extra bits say.
  private struct Item {
    var symbol: Int
    var extra = 0
    var extraBitCount = 0
  }

  private static func head(of lengths: [UInt8]) -> BitWriter {
    let items = items(of: lengths + [0])  // the one length for distances: there are none
    var counts = [UInt32](repeating: 0, count: 19)
    for item in items { counts[item.symbol] += 1 }
    // There are two at least: the end of a block has a length, and that for distances is 0.
    let codeLengths = HuffmanCode.lengths(of: counts, limit: 7)
    let codes = HuffmanCode.codes(of: codeLengths, limit: 7)
    let orderCount = (lengthOrder.lastIndex { codeLengths[$0] > 0 } ?? 0) + 1

    var bits = BitWriter()
    bits.append(1, 1)  // the last block
    bits.append(2, 2)  // dynamic codes
    bits.append(0, 5)  // 257 symbols
    bits.append(0, 5)  // 1 length for distances
    bits.append(orderCount - 4, 4)
    for symbol in lengthOrder.prefix(orderCount) { bits.append(Int(codeLengths[symbol]), 3) }
    for item in items {
      bits.append(Int(codes[item.symbol]), Int(codeLengths[item.symbol]))
      bits.append(item.extra, item.extraBitCount)
    }
    return bits
  }

  private static func items(of lengths: [UInt8]) -> [Item] {
    var items: [Item] = []
    var index = 0
    while index < lengths.count {
      let length = lengths[index]
      var run = 1
      while index + run < lengths.count, lengths[index + run] == length { run += 1 }
      index += run
      if length == 0 {
        while run >= 3 {
          let part = min(run, 138)
          items.append(
            part < 11
              ? Item(symbol: 17, extra: part - 3, extraBitCount: 3)
              : Item(symbol: 18, extra: part - 11, extraBitCount: 7))
          run -= part
        }
      } else if run >= 4 {
        items.append(Item(symbol: Int(length)))
        run -= 1
        while run >= 3 {
          let part = min(run, 6)
          items.append(Item(symbol: 16, extra: part - 3, extraBitCount: 2))
          run -= part
        }
      }
      for _ in 0..<run { items.append(Item(symbol: Int(length))) }
    }
    return items
  }
}
