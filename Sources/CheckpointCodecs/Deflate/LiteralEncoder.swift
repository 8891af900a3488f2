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
  private let table = CodeTable()

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
  }

  deinit {
    // SAFETY: this instance alone holds the pointer, and it ends here.
    unsafe counts.deallocate()
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
    let isCut = plan.streamByteCounts.count == Self.pieceCount
    table.fill(plan.code, forPairsOf: isCut ? plane.count : 0)
    var streams: [LiteralStream] = unsafe []
    var offset = 0
    for (piece, byteCount) in plan.streamByteCounts.enumerated() {
      let start = piece * plan.pieceByteCount
      let end = min(plane.count, start + plan.pieceByteCount)
      // SAFETY: pieces lie in the plane, and streams in the output.
      unsafe streams.append(
        LiteralStream(
          source: source + start, sourceEnd: source + end, target: target + offset,
          targetEnd: target + offset + byteCount))
      offset += byteCount
    }
    for index in unsafe streams.indices { unsafe streams[index].begin(plan.code.head) }
    if isCut {
      unsafe (streams[0], streams[1]) = LiteralStream.coded(streams[0], streams[1], by: table)
      unsafe (streams[2], streams[3]) = LiteralStream.coded(streams[2], streams[3], by: table)
    }
    for index in unsafe streams.indices { unsafe streams[index].finish(by: table) }
  }
}
