/// The codes of bytes and of pairs of bytes, as a stream takes them.
///
/// One instance serves one thread at a time.
@safe
final class CodeTable {
  /// A code and behind it, in the lowest ``lengthBitCount`` bits, its length: a shift by an entry is one by its
  /// length, and the lengths of a sum of entries are added up.
  typealias Entry = UInt32

  static let lengthBitCount: Entry = 6
  private static let pairCount = 1 << 16

  private let literals: UnsafeMutablePointer<Entry>
  /// At first byte | second byte << 8; allocated when first needed.
  ///
  /// What is there of pairs that do not occur comes from earlier codes, or is none.
  private var pairs: UnsafeMutablePointer<Entry>?
  private(set) var endOfBlock: Entry = 0
  /// Whether the pairs are those of the code.
  private(set) var hasPairs = false

  init() {
    unsafe literals = .allocate(capacity: 256)
    unsafe literals.initialize(repeating: 0, count: 256)
    unsafe pairs = nil
  }

  deinit {
    // SAFETY: this instance alone holds the pointers, and it ends here.
    unsafe literals.deallocate()
    unsafe pairs?.deallocate()
  }

  /// Takes a code over.
  ///
  /// - Parameters:
  ///   - code: The code of every byte that occurs.
  ///   - count: How many bytes are to be coded with it in pairs, which pay only for many.
  func fill(_ code: LiteralCode, forPairsOf count: Int) {
    for byte in 0..<256 { unsafe literals[byte] = Self.entry(of: byte, code) }
    endOfBlock = Self.entry(of: LiteralCode.endOfBlock, code)
    let bytes = (0..<256).filter { code.lengths[$0] > 0 }
    hasPairs = bytes.count * bytes.count * Self.literalsPerPair <= count
    if hasPairs { fillPairs(of: bytes) }
  }

  /// A pair costs about as much to enter as it saves when it was looked up so often.
  private static let literalsPerPair = 4

  private func fillPairs(of bytes: [Int]) {
    let pairs = unsafe allocatedPairs()
    for second in bytes {
      let code = unsafe literals[second] >> Self.lengthBitCount
      let length = unsafe literals[second] & Self.lengthMask
      for first in bytes {
        let entry = unsafe literals[first]
        // SAFETY: both are bytes; two codes and the sum of their lengths are 28 bits at most.
        unsafe pairs[second << 8 | first] =
          entry &+ length | code &<< (entry & Self.lengthMask &+ Self.lengthBitCount)
      }
    }
  }

  private func allocatedPairs() -> UnsafeMutablePointer<Entry> {
    if let pairs = unsafe pairs { return unsafe pairs }
    let pairs = UnsafeMutablePointer<Entry>.allocate(capacity: Self.pairCount)
    unsafe pairs.initialize(repeating: 0, count: Self.pairCount)
    unsafe self.pairs = unsafe pairs
    return unsafe pairs
  }

  private static let lengthMask: Entry = 1 << lengthBitCount - 1

  private static func entry(of symbol: Int, _ code: LiteralCode) -> Entry {
    Entry(code.codes[symbol]) << lengthBitCount | Entry(code.lengths[symbol])
  }

  // SAFETY: the pointers are used while the table is alive, by callers that keep it and look up bytes only.

  /// The entries of single bytes.
  @unsafe var literalEntries: UnsafePointer<Entry> { unsafe UnsafePointer(literals) }

  /// The entries of pairs, if there are any.
  @unsafe var pairEntries: UnsafePointer<Entry>? {
    unsafe hasPairs ? pairs.map { unsafe UnsafePointer($0) } : nil
  }
}
