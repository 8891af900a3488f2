// Elementary functions made of single IEEE 754 operations.
//
// Invariants
//   E1  Only +, -, *, /, comparison and bit moves are used, each rounded once. The compiler does
//       not fuse a multiplication and an addition, so every machine gives the same bits.
//   E2  The scalar forms are lane 0 of the vector forms, so both give the same bits.

/// Elementary functions that give the same bits on every machine, within 2 units in the last place.
package enum ExactMath {
  /// Adding and subtracting 1.5 * 2^23 rounds a small number to the nearest integer.
  private static let roundingBias: Float = 12_582_912
  private static let log2OfE: Float = 1.442_695_04
  /// The upper part of ln 2: nine trailing zero bits keep its product with an exponent exact.
  private static let ln2High: Float = 0.693_359_375
  private static let ln2Low: Float = -2.121_944_4e-4

  /// The exponential of each lane.
  @inline(__always)
  package static func exp(_ x: SIMD8<Float>) -> SIMD8<Float> {
    // Beyond these bounds the result is 0 or infinity; the clamp keeps the exponent in range.
    var x = x.replacing(with: 89, where: x .> 89)
    x.replace(with: -104.5, where: x .< -104.5)
    let shifted = x * log2OfE + roundingBias
    let n = shifted - roundingBias
    let r = (x - n * ln2High) - n * ln2Low
    // The Taylor series; its next term is below 2^-27 for |r| <= ln(2) / 2.
    var p = r * (1 / 5040) + (1 / 720)
    p = p * r + (1 / 120)
    p = p * r + (1 / 24)
    p = p * r + (1 / 6)
    p = p * r + 0.5
    p = (p * r) * r + r
    p = p + 1
    let exponent = integerBits(shifted) &- Int32(bitPattern: roundingBias.bitPattern)
    // Two factors, because 2^n itself can lie outside the range of a Float.
    let half = exponent &>> 1
    return (p * powerOfTwo(half)) * powerOfTwo(exponent &- half)
  }

  /// The hyperbolic tangent of each lane.
  @inline(__always)
  package static func tanh(_ x: SIMD8<Float>) -> SIMD8<Float> {
    let sign = integerBits(x) & Int32.min
    let magnitude = floats(integerBits(x) & Int32.max)
    let bounded = magnitude.replacing(with: 10, where: magnitude .> 10)
    let z = bounded * bounded
    // Near zero Lambert's continued fraction, five levels deep; further out 1 - 2 / (e^2x + 1).
    // Both have the form a - b / c, so that one division serves them.
    let isNear = bounded .< 0.625
    let a = SIMD8<Float>(repeating: 1).replacing(with: bounded, where: isNear)
    let b = SIMD8<Float>(repeating: 2).replacing(
      with: bounded * (z * (z * 14 + 315)), where: isNear)
    let c = (exp(bounded + bounded) + 1).replacing(
      with: (z * 15 + 420) * z + 945, where: isNear)
    return floats(integerBits(a - b / c) | sign)
  }

  /// The natural logarithm of each lane.
  package static func log(_ x: SIMD8<Float>) -> SIMD8<Float> {
    let isSubnormal = x .< Float.leastNormalMagnitude
    let scaled = x.replacing(with: x * 8_388_608, where: isSubnormal)
    // The exponent is taken relative to sqrt(1/2), which centres the mantissa on 1.
    let bits = integerBits(scaled) &- 0x3f35_04f3
    let exponent = bits &>> 23
    let f = floats((bits & 0x007f_ffff) &+ 0x3f35_04f3) - 1
    let n = SIMD8<Float>(exponent) - SIMD8<Float>.zero.replacing(with: 23, where: isSubnormal)
    let s = f / (f + 2)
    let z = s * s
    var series = z * (2 / 9) + (2 / 7)
    series = series * z + (2 / 5)
    series = (series * z + (2 / 3)) * z
    // log(1 + f) = 2s + s * series, and 2s = f - s * f keeps the leading term exact.
    let logOfMantissa = f - s * (f - series)
    var result = n * ln2High + (logOfMantissa + n * ln2Low)
    result.replace(with: Float.infinity, where: x .== Float.infinity)
    result.replace(with: -Float.infinity, where: x .== 0)
    return result.replacing(with: Float.nan, where: (x .< 0) .| (x .!= x))
  }

  /// The exponential of `x`.
  package static func exp(_ x: Float) -> Float { exp(SIMD8(repeating: x))[0] }

  /// The hyperbolic tangent of `x`.
  package static func tanh(_ x: Float) -> Float { tanh(SIMD8(repeating: x))[0] }

  /// The natural logarithm of `x`.
  package static func log(_ x: Float) -> Float { log(SIMD8(repeating: x))[0] }

  /// The cosine of pi times `t`, for `t` from 0 to 1.
  package static func cosineOfPi(times t: Double) -> Double {
    // cos(pi t) = sin(pi (1/2 - t)); the series reaches 2^-40 on this interval.
    let x = Double.pi * (0.5 - t)
    let z = x * x
    var sum = 1.0
    for divisor in stride(from: 18, through: 2, by: -2) {
      sum = 1 - z / Double(divisor * (divisor + 1)) * sum
    }
    return x * sum
  }

  /// `base` multiplied by itself `exponent` times.
  package static func power(_ base: Double, _ exponent: Int) -> Double {
    var result = 1.0
    var square = base
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }

  /// The sum of all lanes, pairwise, in a fixed order.
  @inline(__always)
  static func sum(_ v: SIMD8<Float>) -> Float {
    let fours = v.lowHalf + v.highHalf
    let twos = fours.lowHalf + fours.highHalf
    return twos[0] + twos[1]
  }

  @inline(__always)
  private static func integerBits(_ v: SIMD8<Float>) -> SIMD8<Int32> {
    // SAFETY: both types are eight 32-bit lanes without padding, and any bits are valid.
    unsafe unsafeBitCast(v, to: SIMD8<Int32>.self)
  }

  @inline(__always)
  private static func floats(_ v: SIMD8<Int32>) -> SIMD8<Float> {
    // SAFETY: both types are eight 32-bit lanes without padding, and any bits are valid.
    unsafe unsafeBitCast(v, to: SIMD8<Float>.self)
  }

  /// 2 to the power of each lane, for exponents of normal numbers.
  @inline(__always)
  private static func powerOfTwo(_ exponent: SIMD8<Int32>) -> SIMD8<Float> {
    floats((exponent &+ 127) &<< 23)
  }
}
