/// A format of floats of 8 or 16 bits; every number of each is a `Float` exactly.
///
/// - SeeAlso: IEEE 754, section 3.4; OCP 8-bit Floating Point Specification, revision 1.0, section 5.
struct SmallFloat: Sendable {
  let exponentBitCount: UInt32
  let mantissaBitCount: UInt32
  /// Whether the highest exponent is that of infinities and NaN alone; else only the one number with all
  /// bits set is NaN.
  let hasInfinities: Bool

  static let float16 = SmallFloat(exponentBitCount: 5, mantissaBitCount: 10, hasInfinities: true)
  static let bfloat16 = SmallFloat(exponentBitCount: 8, mantissaBitCount: 7, hasInfinities: true)
  static let float8e4m3fn = SmallFloat(
    exponentBitCount: 4, mantissaBitCount: 3, hasInfinities: false)
  static let float8e5m2 = SmallFloat(
    exponentBitCount: 5, mantissaBitCount: 2, hasInfinities: true)

  /// The number that some bits stand for.
  @inline(__always)
  func value(_ bits: UInt32) -> Float {
    let mantissa = bits & ((1 << mantissaBitCount) - 1)
    let exponentMax: UInt32 = (1 << exponentBitCount) - 1
    let exponent = (bits >> mantissaBitCount) & exponentMax
    let sign = (bits >> (mantissaBitCount + exponentBitCount)) << 31
    let fraction = mantissa << (23 - mantissaBitCount)
    // The bias of binary32 less that of this format.
    let rebias: UInt32 = 128 - (1 << (exponentBitCount - 1))
    let isSpecial =
      exponent == exponentMax && (hasInfinities || mantissa == (1 << mantissaBitCount) - 1)
    if isSpecial { return Float(bitPattern: sign | 0x7f80_0000 | fraction) }
    if exponent == 0 {
      // A whole number of the smallest one, which is a normal binary32 or, for bfloat16, one of its own.
      guard rebias > 0 else { return Float(bitPattern: sign | fraction) }
      let smallest = Float(bitPattern: (rebias + 1 - mantissaBitCount) << 23)
      let magnitude = Float(mantissa) * smallest
      return sign == 0 ? magnitude : -magnitude
    }
    return Float(bitPattern: sign | (exponent + rebias) << 23 | fraction)
  }
}
