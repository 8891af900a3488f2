/// 128 random bits that name a checkpoint, a save, or a run.
public struct Identifier: Hashable, Sendable {
  /// The first eight bytes, read as a big-endian number.
  public let high: UInt64
  /// The last eight bytes, read as a big-endian number.
  public let low: UInt64

  /// Makes an identifier from its two halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The identifier that stands for "none".
  package static let zero = Identifier(high: 0, low: 0)
}

extension Identifier: CustomStringConvertible {
  /// 32 lowercase hexadecimal digits, first byte first.
  public var description: String { [high, low].map(Self.digits).joined() }

  /// Reads what ``description`` writes; nothing else is accepted.
  public init?(_ text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 32 else { return nil }
    func half(_ part: ArraySlice<UInt8>) -> UInt64? {
      var value: UInt64 = 0
      for digit in part {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - 48)
        case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - 87)
        default: return nil
        }
      }
      return value
    }
    guard let high = half(digits[..<16]), let low = half(digits[16...]) else { return nil }
    self.init(high: high, low: low)
  }

  private static func digits(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
