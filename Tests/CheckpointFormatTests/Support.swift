import CheckpointFormat
import FuzzHarness

/// What a throwing expression threw, or nil if it returned.
func failure<T>(of body: () throws(FormatError) -> T) -> FormatError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error
  }
}

/// Whether an error says that bytes contradict each other or have no meaning.
func isInconsistent(_ error: FormatError?) -> Bool {
  if case .inconsistent = error?.kind { true } else { false }
}

/// Whether an error says that a number is beyond the limits.
func isOverLimit(_ error: FormatError?) -> Bool {
  if case .overLimit = error?.kind { true } else { false }
}

/// Whether an error says that a part ends too early.
func isTruncated(_ error: FormatError?) -> Bool {
  if case .truncated = error?.kind { true } else { false }
}

/// SplitMix64: the same numbers from the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// Sixteen bytes that count up from `first`.
func identifier(from first: UInt8) -> Identifier {
  let bytes = (0..<16).map { UInt64(first) + $0 }
  return Identifier(
    high: bytes[..<8].reduce(0) { $0 << 8 | $1 }, low: bytes[8...].reduce(0) { $0 << 8 | $1 })
}

/// Bytes with a checksum of themselves at the end, as tests carry a section around.
func sealed(_ content: [UInt8]) -> [UInt8] {
  content + littleEndian(FormatVersion.current.checksum(content.rawSpan))
}

extension [UInt8] {
  /// A copy with other bytes from `offset` on.
  func overwriting(at offset: Int, with other: [UInt8]) -> [UInt8] {
    var copy = self
    copy.overwrite(at: offset, with: other)
    return copy
  }
}
