/// Codes a plane of bytes as DEFLATE streams that hold literals only.
///
/// Matches would make the exponents of floats larger and slower to code. The plane is cut into pieces of
/// equal length, each of them a stream of its own with the same code, so that an encoder and a decoder can
/// work on several at once: a processor waits for the one while it gets on with the others.
///
/// One instance serves one thread at a time.
///
/// - SeeAlso: RFC 1951; docs/format.md, section 7.3.
@safe
final class LiteralEncoder {
  /// Pieces of a plane that is worth cutting.
  static let pieceCount = 4
  /// Planes from here on are cut.
  static let cutByteCountMin = 16 << 10

  /// How often each byte occurs in each piece.
  private let counts: UnsafeMutablePointer<UInt32>
  /// The code of each byte in the lower half of an entry, its length in the upper.
  private let table: UnsafeMutablePointer<UInt32>

  /// What a plane that was looked at becomes.
  struct Plan {
    let code: LiteralCode
    /// Bytes of a piece; the last has what remains.
    let pieceByteCount: Int
    let streamByteCounts: [Int]

    /// Bytes of all streams.
    var byteCount: Int { streamByteCounts.reduce(0, +) }
  }

  init() {
    unsafe counts = .allocate(capacity: Self.pieceCount * 256)
    unsafe table = .allocate(capacity: 256)
    unsafe table.initialize(repeating: 0, count: 256)
  }

  deinit {
    // SAFETY: this instance alone holds the pointers, and it ends here.
    unsafe counts.deallocate()
    unsafe table.deallocate()
  }

  // MARK: Looking

  /// Counts the bytes of a plane and finds their code.
  ///
  /// - Parameter plane: 2 bytes or more.
  /// - Returns: What it becomes, or nil if all its bytes are equal: that needs no code.
  func plan(_ plane: UnsafeBufferPointer<UInt8>) -> Plan? {
    let isCut = plane.count >= Self.cutByteCountMin
    let pieceCount = isCut ? Self.pieceCount : 1
    let pieceByteCount = (plane.count + pieceCount - 1) / pieceCount
    unsafe count(plane, pieceByteCount: pieceByteCount)
    var totals = [UInt32](repeating: 0, count: LiteralCode.symbolCount)
    for piece in 0..<pieceCount {
      // SAFETY: 256 counts for each piece.
      for byte in 0..<256 { unsafe totals[byte] += counts[piece * 256 + byte] }
    }
    guard totals.count(where: { $0 > 0 }) > 1 else { return nil }
    totals[LiteralCode.endOfBlock] = UInt32(pieceCount)
    let code = LiteralCode(of: totals)
    return Plan(
      code: code, pieceByteCount: pieceByteCount,
      streamByteCounts: (0..<pieceCount).map {
        unsafe code.streamByteCount(UnsafePointer(counts + $0 * 256))
      })
  }

  private func count(_ plane: UnsafeBufferPointer<UInt8>, pieceByteCount: Int) {
    unsafe counts.initialize(repeating: 0, count: Self.pieceCount * 256)
    guard let start = plane.baseAddress else { return }
    // Four places at once, since a count that was just written is slow to read. A plane that is not cut
    // has its four places counted together in the end.
    let quarter = plane.count >= Self.cutByteCountMin ? pieceByteCount : plane.count / 4
    let common = min(quarter, plane.count - 3 * quarter) & ~7
    // SAFETY: `common` bytes lie behind each of the four starts.
    let (counts1, counts2, counts3) = unsafe (counts + 256, counts + 512, counts + 768)
    var offset = 0
    while offset < common {
      var words = unsafe (
        Self.word(start + offset), Self.word(start + quarter + offset),
        Self.word(start + 2 * quarter + offset), Self.word(start + 3 * quarter + offset)
      )
      for _ in 0..<8 {
        unsafe counts[Int(truncatingIfNeeded: words.0 & 0xFF)] &+= 1
        unsafe counts1[Int(truncatingIfNeeded: words.1 & 0xFF)] &+= 1
        unsafe counts2[Int(truncatingIfNeeded: words.2 & 0xFF)] &+= 1
        unsafe counts3[Int(truncatingIfNeeded: words.3 & 0xFF)] &+= 1
        words = (words.0 &>> 8, words.1 &>> 8, words.2 &>> 8, words.3 &>> 8)
      }
      offset &+= 8
    }
    for place in 0..<4 {
      let end = place == 3 ? plane.count : (place + 1) * quarter
      for index in place * quarter + common..<end {
        // SAFETY: the index lies in the plane.
        unsafe counts[place * 256 + Int(plane[index])] &+= 1
      }
    }
    guard plane.count < Self.cutByteCountMin else { return }
    for byte in 0..<256 {
      unsafe counts[byte] &+= counts1[byte] &+ counts2[byte] &+ counts3[byte]
    }
  }

  @inline(__always) @unsafe
  private static func word(_ place: UnsafePointer<UInt8>) -> UInt64 {
    unsafe UnsafeRawPointer(place).loadUnaligned(as: UInt64.self)
  }

  // MARK: Coding

  /// Where a stream grows, and the bits that do not make a byte yet.
  @unsafe struct Cursor {
    var source: UnsafePointer<UInt8>
    let sourceEnd: UnsafePointer<UInt8>
    var target: UnsafeMutableRawPointer
    let targetEnd: UnsafeMutableRawPointer
    var bits: UInt64 = 0
    var bitCount: UInt64 = 0
  }

  /// Writes the streams of a plane one behind the other.
  ///
  /// - Parameters:
  ///   - plane: What was looked at.
  ///   - plan: What came of it.
  ///   - output: As many bytes as the plan says.
  func encode(
    _ plane: UnsafeBufferPointer<UInt8>, by plan: Plan, into output: UnsafeMutableRawBufferPointer
  ) {
    precondition(output.count == plan.byteCount, "streams are as long as was planned")
    guard let source = plane.baseAddress, let target = output.baseAddress else { return }
    for byte in 0..<256 { unsafe table[byte] = plan.code.packed(byte) }
    var cursors: [Cursor] = unsafe []
    var offset = 0
    for (piece, byteCount) in plan.streamByteCounts.enumerated() {
      let start = piece * plan.pieceByteCount
      let end = min(plane.count, start + plan.pieceByteCount)
      // SAFETY: pieces lie in the plane, and streams in the output.
      unsafe cursors.append(
        Cursor(
          source: source + start, sourceEnd: source + end, target: target + offset,
          targetEnd: target + offset + byteCount))
      offset += byteCount
    }
    for index in unsafe cursors.indices { unsafe begin(&cursors[index], plan.code.head) }
    if unsafe cursors.count == 4 {
      unsafe (cursors[0], cursors[1]) = encode(cursors[0], cursors[1])
      unsafe (cursors[2], cursors[3]) = encode(cursors[2], cursors[3])
    }
    let end = plan.code.packed(LiteralCode.endOfBlock)
    for index in unsafe cursors.indices { unsafe finish(&cursors[index], end) }
  }

  private func begin(_ cursor: inout Cursor, _ head: BitWriter) {
    let whole = head.bitCount / 8
    for byte in head.bytes.prefix(whole) { unsafe put(byte, &cursor) }
    guard head.bitCount % 8 > 0 else { return }
    unsafe cursor.bits = UInt64(head.bytes[whole])
    unsafe cursor.bitCount = UInt64(head.bitCount % 8)
  }

  /// Codes two pieces side by side, as far as eight bytes can be stored at once.
  private func encode(_ first: Cursor, _ second: Cursor) -> (Cursor, Cursor) {
    var (first, second) = unsafe (first, second)
    while true {
      let groups = unsafe min(Self.safeGroupCount(first), Self.safeGroupCount(second))
      guard groups > 0 else { return unsafe (first, second) }
      for _ in 0..<groups {
        unsafe putGroup(&first)
        unsafe putGroup(&second)
      }
    }
  }

  /// Groups of four literals that can be coded by stores of eight bytes without passing the end: each
  /// group, with what is left from before, takes at most six bytes.
  @unsafe private static func safeGroupCount(_ cursor: Cursor) -> Int {
    let room = unsafe cursor.targetEnd - cursor.target - 8
    return unsafe min(room / 6, (cursor.sourceEnd - cursor.source) / 4)
  }

  @inline(__always) @unsafe
  private func putGroup(_ cursor: inout Cursor) {
    // SAFETY: `safeGroupCount` holds for the four bytes read and the eight written; every byte has an
    // entry in the table.
    let word = unsafe UnsafeRawPointer(cursor.source).loadUnaligned(as: UInt32.self)
    let entry0 = unsafe UInt64(table[Int(word & 0xFF)])
    let entry1 = unsafe UInt64(table[Int(word &>> 8 & 0xFF)])
    let entry2 = unsafe UInt64(table[Int(word &>> 16 & 0xFF)])
    let entry3 = unsafe UInt64(table[Int(word &>> 24)])
    let length01 = entry0 &>> 16 &+ entry1 &>> 16
    let length23 = entry2 &>> 16 &+ entry3 &>> 16
    let code01 = entry0 & 0xFFFF | (entry1 & 0xFFFF) &<< (entry0 &>> 16)
    let code23 = entry2 & 0xFFFF | (entry3 & 0xFFFF) &<< (entry2 &>> 16)
    unsafe cursor.bits |= (code01 | code23 &<< length01) &<< cursor.bitCount
    unsafe cursor.bitCount &+= length01 &+ length23
    unsafe cursor.target.storeBytes(of: cursor.bits, as: UInt64.self)
    unsafe cursor.target += Int(truncatingIfNeeded: cursor.bitCount &>> 3)
    unsafe cursor.bits &>>= cursor.bitCount & ~7
    unsafe cursor.bitCount &= 7
    unsafe cursor.source += 4
  }

  /// Codes what remains of a piece, at last byte by byte, and ends the stream.
  private func finish(_ cursor: inout Cursor, _ endOfBlock: UInt32) {
    while true {
      let groups = unsafe Self.safeGroupCount(cursor)
      guard groups > 0 else { break }
      for _ in 0..<groups { unsafe putGroup(&cursor) }
    }
    while unsafe cursor.source < cursor.sourceEnd {
      unsafe putOne(table[Int(cursor.source.pointee)], &cursor)
      unsafe cursor.source += 1
    }
    unsafe putOne(endOfBlock, &cursor)
    if unsafe cursor.bitCount > 0 {
      unsafe put(UInt8(truncatingIfNeeded: cursor.bits), &cursor)
    }
    unsafe precondition(cursor.target == cursor.targetEnd, "a stream is as long as was planned")
  }

  @inline(__always) @unsafe
  private func putOne(_ entry: UInt32, _ cursor: inout Cursor) {
    unsafe cursor.bits |= UInt64(entry & 0xFFFF) &<< cursor.bitCount
    unsafe cursor.bitCount &+= UInt64(entry &>> 16)
    while unsafe cursor.bitCount >= 8 {
      unsafe put(UInt8(truncatingIfNeeded: cursor.bits), &cursor)
      unsafe cursor.bits &>>= 8
      unsafe cursor.bitCount &-= 8
    }
  }

  @inline(__always) @unsafe
  private func put(_ byte: UInt8, _ cursor: inout Cursor) {
    unsafe precondition(cursor.target < cursor.targetEnd, "a stream is as long as was planned")
    unsafe cursor.target.storeBytes(of: byte, as: UInt8.self)
    unsafe cursor.target += 1
  }
}
