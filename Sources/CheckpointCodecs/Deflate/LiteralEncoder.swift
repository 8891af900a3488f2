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

  private let counter = LiteralCounter()
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

  // MARK: Looking

  /// Finds a code for the bytes of a plane.
  ///
  /// - Parameter plane: 2 bytes or more.
  /// - Returns: What it becomes, or nil if all its bytes are equal: that needs no code.
  func plan(_ plane: UnsafeBufferPointer<UInt8>) -> Plan? {
    if plane.count >= LiteralCounter.sampledByteCountMin {
      let counts = unsafe counter.sampled(plane)
      guard let plan = unsafe plan(plane, counts) else { return nil }
      // Unless the sample was not like the rest.
      let total = counts.reduce(0) { $0 + Int($1) }
      let expected = plan.code.bitCount(of: counts) * plane.count / (8 * total)
      if plan.byteCount <= expected + plane.count / 64 { return plan }
    }
    return unsafe plan(plane, counter.all(plane))
  }

  /// Makes a plan by how often each byte occurs, or about: 0 says that it does not.
  private func plan(_ plane: UnsafeBufferPointer<UInt8>, _ counts: [UInt32]) -> Plan? {
    guard counts.count(where: { $0 > 0 }) > 1 else { return nil }
    let pieceCount = plane.count >= Self.cutByteCountMin ? Self.pieceCount : 1
    let pieceByteCount = (plane.count + pieceCount - 1) / pieceCount
    let code = LiteralCode(of: counts + [UInt32(pieceCount)])
    let streamByteCounts = (0..<pieceCount).map { piece in
      let end = min(plane.count, (piece + 1) * pieceByteCount)
      let bytes = unsafe UnsafeBufferPointer(
        rebasing: plane[min(piece * pieceByteCount, end)..<end])
      return code.streamByteCount(bitCount: unsafe LiteralCounter.bitCount(bytes, by: code.lengths))
    }
    return Plan(code: code, pieceByteCount: pieceByteCount, streamByteCounts: streamByteCounts)
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
