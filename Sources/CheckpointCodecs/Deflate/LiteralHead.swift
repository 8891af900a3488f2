/// The head of a stream that holds one block of literals and nothing else, if it is one.
struct LiteralHead {
  /// The length of the code of each of the 257 symbols.
  let lengths: [UInt8]
  /// Where the first literal's code begins.
  let bitCount: Int

  /// Reads a head; nil if the stream may be a good one, but not of this kind, or is damaged: zlib tells.
  init?(_ stream: UnsafeBufferPointer<UInt8>) {
    // SAFETY: the reader lives for this call, in which the stream is lent.
    var bits = unsafe BitReader(stream)
    // The last block, with dynamic codes, of literals, and one length for distances.
    guard bits.take(1) == 1, bits.take(2) == 2, bits.take(5) == 0, bits.take(5) == 0 else {
      return nil
    }
    let orderCount = bits.take(4) + 4
    var lengthLengths = [UInt8](repeating: 0, count: 19)
    for symbol in LiteralCode.lengthOrder.prefix(orderCount) {
      lengthLengths[symbol] = UInt8(bits.take(3))
    }
    guard Self.isComplete(lengthLengths, limit: 7) else { return nil }
    let decoder = Self.decoder(of: lengthLengths, limit: 7)
    var lengths: [UInt8] = []
    lengths.reserveCapacity(LiteralCode.symbolCount + 1)
    while lengths.count < LiteralCode.symbolCount + 1 {
      guard bits.isWithinBounds else { return nil }
      // Bits are taken one at a time until they make a code; it is complete, so they do.
      var (code, length) = (0, 0)
      repeat {
        code |= bits.take(1) << length
        length += 1
      } while decoder[code << 3 | length] < 0 && length < 7
      let symbol = decoder[code << 3 | length]
      guard symbol >= 0, Self.append(symbol, to: &lengths, &bits) else { return nil }
    }
    guard bits.isWithinBounds, lengths.count == LiteralCode.symbolCount + 1,
      lengths.removeLast() == 0, lengths[LiteralCode.endOfBlock] > 0,
      lengths.allSatisfy({ $0 <= LiteralCode.lengthMax }),
      Self.isComplete(lengths, limit: LiteralCode.lengthMax)
    else { return nil }
    self.lengths = lengths
    bitCount = bits.bitCount
  }

  /// Appends a length, or repeats one; false if there is none to repeat.
  private static func append(_ symbol: Int, to lengths: inout [UInt8], _ bits: inout BitReader)
    -> Bool
  {
    switch symbol {
    case 16:
      guard let last = lengths.last else { return false }
      for _ in 0..<3 + bits.take(2) { lengths.append(last) }
    case 17: for _ in 0..<3 + bits.take(3) { lengths.append(0) }
    case 18: for _ in 0..<11 + bits.take(7) { lengths.append(0) }
    default: lengths.append(UInt8(symbol))
    }
    return true
  }

  /// Whether every sequence of bits is one of codes.
  private static func isComplete(_ lengths: [UInt8], limit: Int) -> Bool {
    lengths.reduce(0) { $0 + ($1 == 0 ? 0 : 1 << (limit - Int($1))) } == 1 << limit
  }

  /// The symbol of each code of each length, -1 for none, at code << 3 | length.
  private static func decoder(of lengths: [UInt8], limit: Int) -> [Int] {
    var decoder = [Int](repeating: -1, count: 1 << (limit + 3))
    for (symbol, code) in HuffmanCode.codes(of: lengths, limit: limit).enumerated()
    where lengths[symbol] > 0 {
      decoder[Int(code) << 3 | Int(lengths[symbol])] = symbol
    }
    return decoder
  }
}
