/// A DEFLATE stream of literals while it grows.
///
/// Groups of four literals are coded by one store of eight bytes; what has no room for that, byte by byte.
@unsafe
struct LiteralStream {
  /// What comes next.
  var source: UnsafePointer<UInt8>
  let sourceEnd: UnsafePointer<UInt8>
  var target: UnsafeMutableRawPointer
  let targetEnd: UnsafeMutableRawPointer
  /// The bits that do not make a byte yet, and how many.
  private var bits: UInt64 = 0
  private var bitCount: UInt64 = 0

  init(
    source: UnsafePointer<UInt8>, sourceEnd: UnsafePointer<UInt8>,
    target: UnsafeMutableRawPointer, targetEnd: UnsafeMutableRawPointer
  ) {
    unsafe self.source = unsafe source
    unsafe self.sourceEnd = unsafe sourceEnd
    unsafe self.target = unsafe target
    unsafe self.targetEnd = unsafe targetEnd
  }

  /// Writes the head of the block.
  mutating func begin(_ head: BitWriter) {
    let whole = head.bitCount / 8
    for byte in head.bytes.prefix(whole) { unsafe put(byte) }
    guard head.bitCount % 8 > 0 else { return }
    unsafe bits = UInt64(head.bytes[whole])
    unsafe bitCount = UInt64(head.bitCount % 8)
  }

  /// Codes two streams side by side, as far as eight bytes can be stored at once.
  static func coded(
    _ first: LiteralStream, _ second: LiteralStream, by table: CodeTable
  ) -> (LiteralStream, LiteralStream) {
    if let pairs = unsafe table.pairEntries {
      return unsafe coded(first, second) { stream in
        // SAFETY: any two bytes have an entry.
        unsafe Self.pairEntries(stream.nextGroup, pairs)
      }
    }
    let literals = unsafe table.literalEntries
    return unsafe coded(first, second) { stream in
      unsafe Self.pairEntries(stream.nextGroup, literals: literals)
    }
  }

  /// Codes what remains and ends the stream.
  mutating func finish(by table: CodeTable) {
    let literals = unsafe table.literalEntries
    while true {
      let groups = unsafe safeGroupCount
      guard groups > 0 else { break }
      for _ in 0..<groups { unsafe put(Self.pairEntries(nextGroup, literals: literals)) }
    }
    while unsafe source < sourceEnd {
      // SAFETY: every byte has an entry.
      unsafe putOne(literals[Int(source.pointee)])
      unsafe source += 1
    }
    unsafe putOne(table.endOfBlock)
    if unsafe bitCount > 0 { unsafe put(UInt8(truncatingIfNeeded: bits)) }
    unsafe precondition(target == targetEnd, "a stream is as long as was planned")
  }

  // MARK: Groups

  @inline(__always)
  private static func coded(
    _ first: LiteralStream, _ second: LiteralStream,
    _ entries: (borrowing LiteralStream) -> (UInt64, UInt64)
  ) -> (LiteralStream, LiteralStream) {
    var (first, second) = unsafe (first, second)
    while true {
      let groups = unsafe min(first.safeGroupCount, second.safeGroupCount)
      guard groups > 0 else { return unsafe (first, second) }
      for _ in 0..<groups {
        unsafe first.put(entries(first))
        unsafe second.put(entries(second))
      }
    }
  }

  /// Groups that can be coded by stores of eight bytes without passing the end: each group, with what is left
  /// from before, takes at most six bytes.
  private var safeGroupCount: Int {
    let room = unsafe targetEnd - target - 8
    return unsafe min(room / 6, (sourceEnd - source) / 4)
  }

  // SAFETY: `safeGroupCount` holds for the four bytes that are read and the eight that are written.

  @inline(__always)
  private var nextGroup: UInt32 {
    unsafe UnsafeRawPointer(source).loadUnaligned(as: UInt32.self)
  }

  /// The entries of the two pairs of a group.
  @inline(__always) @unsafe
  private static func pairEntries(
    _ group: UInt32, _ pairs: UnsafePointer<CodeTable.Entry>
  ) -> (UInt64, UInt64) {
    unsafe (UInt64(pairs[Int(group & 0xFFFF)]), UInt64(pairs[Int(group &>> 16)]))
  }

  /// The same, of entries for single bytes.
  @inline(__always) @unsafe
  private static func pairEntries(
    _ group: UInt32, literals: UnsafePointer<CodeTable.Entry>
  ) -> (UInt64, UInt64) {
    unsafe (
      joined(literals[Int(group & 0xFF)], literals[Int(group &>> 8 & 0xFF)]),
      joined(literals[Int(group &>> 16 & 0xFF)], literals[Int(group &>> 24)])
    )
  }

  /// The entry of two literals.
  @inline(__always)
  private static func joined(_ first: CodeTable.Entry, _ second: CodeTable.Entry) -> UInt64 {
    let (first, second) = (UInt64(first), UInt64(second))
    // The length of the first remains where it stands, and that of the second is added to it.
    return first &+ second & 63 | ((second &>> 6) &<< first) &<< 6
  }

  /// Appends two pairs, which are 44 bits at most.
  @inline(__always)
  private mutating func put(_ pairs: (UInt64, UInt64)) {
    // A shift takes the lowest six bits of its distance, which are the length.
    let codes = pairs.0 &>> 6 | (pairs.1 &>> 6) &<< pairs.0
    unsafe bits |= codes &<< bitCount
    let total = unsafe bitCount &+ pairs.0 &+ pairs.1
    unsafe target.storeBytes(of: bits, as: UInt64.self)
    unsafe target += Int(truncatingIfNeeded: total &>> 3 & 7)
    unsafe bits &>>= total & 0x38
    unsafe bitCount = total & 7
    unsafe source += 4
  }

  // MARK: Byte by byte

  @inline(__always)
  private mutating func putOne(_ entry: CodeTable.Entry) {
    unsafe bits |= UInt64(entry &>> CodeTable.lengthBitCount) &<< bitCount
    unsafe bitCount &+= UInt64(entry) & 63
    while unsafe bitCount >= 8 {
      unsafe put(UInt8(truncatingIfNeeded: bits))
      unsafe bits &>>= 8
      unsafe bitCount &-= 8
    }
  }

  @inline(__always)
  private mutating func put(_ byte: UInt8) {
    unsafe precondition(target < targetEnd, "a stream is as long as was planned")
    unsafe target.storeBytes(of: byte, as: UInt8.self)
    unsafe target += 1
  }
}
