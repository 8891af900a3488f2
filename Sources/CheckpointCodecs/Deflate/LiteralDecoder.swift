/// Decodes DEFLATE streams that hold one block of literals, several at once.
///
/// A look into a table with as many bits as the longest code has gives up to four bytes. What is no such
/// stream is left to zlib.
///
/// One instance serves one thread at a time.
@safe
final class LiteralDecoder {
  private static let entryCount = 1 << LiteralCode.lengthMax
  /// The bits that a look takes as its index.
  private static let mask = UInt64(entryCount - 1)

  /// The bytes that some bits begin with, up to four, in the lower half; above it a byte with the number of
  /// their bits, and one with how many they are.
  ///
  /// None if the bits begin with the end of the block.
  private let table: UnsafeMutablePointer<UInt64>
  /// The symbol that some bits begin with, and above it, from bit 12, the length of its code.
  private let single: UnsafeMutablePointer<UInt16>
  /// The head that the tables were made for.
  private var head: [UInt8] = []
  private var headBitCount = 0

  init() {
    unsafe table = .allocate(capacity: Self.entryCount)
    unsafe single = .allocate(capacity: Self.entryCount)
  }

  deinit {
    // SAFETY: this instance alone holds the pointers, and it ends here.
    unsafe table.deallocate()
    unsafe single.deallocate()
  }

  /// A stream and where its bytes go.
  @unsafe struct Stream {
    let source: UnsafeBufferPointer<UInt8>
    let target: UnsafeMutableBufferPointer<UInt8>
  }

  enum Outcome { case decoded, malformed, otherStream }

  /// Decodes streams, each of which must end with its last byte and fill its target exactly.
  ///
  /// - Returns: Whether that was done; `otherStream` if one of them is none of literals with the same code
  ///   as the first: what lies in the targets is then not to be used.
  func decode(_ streams: [Stream]) -> Outcome {
    var cursors: [Cursor] = unsafe []
    for index in unsafe streams.indices {
      let stream = unsafe streams[index]
      // One table serves all.
      guard unsafe hasSameHead(stream.source) || cursors.isEmpty && prepare(stream.source) else {
        return .otherStream
      }
      guard let cursor = unsafe Cursor(stream, at: headBitCount) else { return .malformed }
      unsafe cursors.append(cursor)
    }
    if unsafe cursors.count == 4 {
      unsafe decodeFour(&cursors)
    }
    for index in unsafe cursors.indices {
      guard unsafe finish(&cursors[index]) else { return .malformed }
    }
    return .decoded
  }

  // MARK: Tables

  /// Whether a stream begins with the bits that the tables were made for.
  private func hasSameHead(_ stream: UnsafeBufferPointer<UInt8>) -> Bool {
    let whole = headBitCount / 8
    guard headBitCount > 0, stream.count > whole else { return false }
    for index in 0..<whole where unsafe stream[index] != head[index] { return false }
    let mask = UInt8(truncatingIfNeeded: 0xFF >> (8 - headBitCount % 8))
    return unsafe (stream[whole] ^ head[whole]) & mask == 0
  }

  /// Makes the tables for a stream; false if it is another kind of stream.
  private func prepare(_ stream: UnsafeBufferPointer<UInt8>) -> Bool {
    headBitCount = 0
    // A stream that ends with its head is left to zlib, which refuses it: the head is kept to be compared
    // with others up to the byte in which the first literal begins.
    guard let parsed = unsafe LiteralHead(stream), parsed.bitCount / 8 < stream.count else {
      return false
    }
    let codes = HuffmanCode.codes(of: parsed.lengths, limit: LiteralCode.lengthMax)
    for (symbol, length) in parsed.lengths.enumerated() where length > 0 {
      // SAFETY: codes have at most as many bits as the tables' indices.
      for index in stride(from: Int(codes[symbol]), to: Self.entryCount, by: 1 << Int(length)) {
        unsafe single[index] = UInt16(symbol) | UInt16(length) << 12
      }
    }
    for index in 0..<Self.entryCount { unsafe table[index] = entry(at: index) }
    headBitCount = parsed.bitCount
    head = unsafe Array(stream.prefix(parsed.bitCount / 8 + 1))
    return true
  }

  /// The bytes whose codes lie completely in the bits of `index`, up to four.
  private func entry(at index: Int) -> UInt64 {
    var (symbols, bitCount, count) = (UInt64(0), 0, 0)
    while count < 4 {
      let next = unsafe single[index >> bitCount]
      let (symbol, length) = (Int(next & 0xFFF), Int(next >> 12))
      guard bitCount + length <= LiteralCode.lengthMax, symbol != LiteralCode.endOfBlock else {
        break
      }
      symbols |= UInt64(symbol) << UInt64(8 * count)
      bitCount += length
      count += 1
    }
    return symbols | UInt64(bitCount) << 32 | UInt64(count) << 40
  }

  // MARK: Decoding

  /// A place in a stream, and the bits that were read ahead.
  @unsafe struct Cursor {
    var source: UnsafePointer<UInt8>
    let sourceEnd: UnsafePointer<UInt8>
    var target: UnsafeMutablePointer<UInt8>
    let targetEnd: UnsafeMutablePointer<UInt8>
    var bits: UInt64 = 0
    var bitCount: UInt64 = 0

    /// Begins behind a head; nil if there is nothing behind it, or nothing to decode.
    init?(_ stream: Stream, at headBitCount: Int) {
      guard let start = unsafe stream.source.baseAddress,
        let target = unsafe stream.target.baseAddress, unsafe headBitCount / 8 < stream.source.count
      else { return nil }
      // SAFETY: both ends are those of the buffers.
      unsafe source = start + headBitCount / 8 + 1
      unsafe sourceEnd = start + stream.source.count
      unsafe self.target = target
      unsafe targetEnd = target + stream.target.count
      unsafe bits = UInt64(start[headBitCount / 8]) >> UInt64(headBitCount % 8)
      unsafe bitCount = UInt64(8 - headBitCount % 8)
    }
  }

  /// Rounds of five looks that can be taken without passing the end of the stream or of the target: one
  /// reads at most eight bytes, and stores at most twenty.
  @unsafe private static func safeRoundCount(_ cursor: Cursor) -> Int {
    unsafe min((cursor.sourceEnd - cursor.source) / 8, (cursor.targetEnd - cursor.target) / 20)
  }

  /// Decodes four streams side by side, as far as none of them is near its end.
  private func decodeFour(_ cursors: inout [Cursor]) {
    let table = unsafe UnsafePointer(table)
    var (first, second, third, fourth) = unsafe (cursors[0], cursors[1], cursors[2], cursors[3])
    defer { unsafe cursors = [first, second, third, fourth] }
    while true {
      let rounds = unsafe min(
        min(Self.safeRoundCount(first), Self.safeRoundCount(second)),
        min(Self.safeRoundCount(third), Self.safeRoundCount(fourth)))
      guard rounds > 0 else { return }
      let before = unsafe first.target
      for _ in 0..<rounds {
        unsafe Self.refill(&first)
        unsafe Self.refill(&second)
        unsafe Self.refill(&third)
        unsafe Self.refill(&fourth)
        for _ in 0..<5 {
          unsafe Self.look(&first, table)
          unsafe Self.look(&second, table)
          unsafe Self.look(&third, table)
          unsafe Self.look(&fourth, table)
        }
      }
      // A stream that has come to its end stays there: the rest tells that it came too early.
      if unsafe first.target == before { return }
    }
  }

  /// Reads ahead until 56 bits or more are there.
  @inline(__always) @unsafe private static func refill(_ cursor: inout Cursor) {
    // SAFETY: `safeRoundCount` holds for eight bytes.
    let word = unsafe UnsafeRawPointer(cursor.source).loadUnaligned(as: UInt64.self)
    unsafe cursor.bits |= word &<< cursor.bitCount
    unsafe cursor.source += Int(truncatingIfNeeded: (63 &- cursor.bitCount) &>> 3)
    unsafe cursor.bitCount |= 56
  }

  @inline(__always) @unsafe
  private static func look(_ cursor: inout Cursor, _ table: UnsafePointer<UInt64>) {
    // SAFETY: the index is below the table's size, and `safeRoundCount` holds for four bytes.
    let entry = unsafe table[Int(truncatingIfNeeded: cursor.bits & mask)]
    unsafe UnsafeMutableRawPointer(cursor.target).storeBytes(
      of: UInt32(truncatingIfNeeded: entry), as: UInt32.self)
    unsafe cursor.target += Int(truncatingIfNeeded: entry &>> 40)
    let length = entry &>> 32 & 0xFF
    unsafe cursor.bits &>>= length
    unsafe cursor.bitCount &-= length
  }

  /// Decodes what remains of a stream, at last symbol by symbol; false if it is not as it must be.
  private func finish(_ cursor: inout Cursor) -> Bool {
    while true {
      let rounds = unsafe Self.safeRoundCount(cursor)
      guard rounds > 0 else { break }
      let before = unsafe cursor.target
      for _ in 0..<rounds {
        unsafe Self.refill(&cursor)
        for _ in 0..<5 { unsafe Self.look(&cursor, UnsafePointer(table)) }
      }
      if unsafe cursor.target == before { break }
    }
    while true {
      while unsafe cursor.bitCount <= 56, unsafe cursor.source < cursor.sourceEnd {
        unsafe cursor.bits |= UInt64(cursor.source.pointee) &<< cursor.bitCount
        unsafe cursor.source += 1
        unsafe cursor.bitCount += 8
      }
      let next = unsafe single[Int(truncatingIfNeeded: cursor.bits & Self.mask)]
      let length = UInt64(next >> 12)
      guard unsafe length <= cursor.bitCount else { return false }
      unsafe cursor.bits &>>= length
      unsafe cursor.bitCount &-= length
      if next & 0xFFF == LiteralCode.endOfBlock { break }
      guard unsafe cursor.target < cursor.targetEnd else { return false }
      unsafe cursor.target.pointee = UInt8(truncatingIfNeeded: next)
      unsafe cursor.target += 1
    }
    return unsafe cursor.target == cursor.targetEnd && cursor.source == cursor.sourceEnd
      && cursor.bitCount < 8
  }
}
