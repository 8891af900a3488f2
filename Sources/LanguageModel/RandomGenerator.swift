/// A small seedable random number generator (xoshiro256**).
///
/// Its state can be read out and put back.
package struct RandomGenerator: RandomNumberGenerator, Equatable, Sendable {
  private var s0, s1, s2, s3: UInt64

  /// Makes a generator; different seeds and streams give unrelated sequences.
  ///
  /// - Parameters:
  ///   - seed: chooses the run.
  ///   - stream: separates the generators of one run.
  package init(seed: UInt64, stream: UInt64 = 0) {
    let base = Self.mix(seed &+ 0x9e37_79b9_7f4a_7c15) ^ Self.mix(~stream)
    s0 = Self.mix(base &+ 1)
    s1 = Self.mix(base &+ 2)
    s2 = Self.mix(base &+ 3)
    // The all-zero state would only give zeros.
    s3 = Self.mix(base &+ 4) | 1
  }

  /// Puts a state back that ``words`` gave.
  ///
  /// - Parameter words: four words, not all zero; anything else gives nil.
  package init?(words: [UInt64]) {
    guard words.count == 4, words.contains(where: { $0 != 0 }) else { return nil }
    (s0, s1, s2, s3) = (words[0], words[1], words[2], words[3])
  }

  /// The next 64 random bits.
  package mutating func next() -> UInt64 {
    let scrambled = s1 &* 5
    let result = (scrambled &<< 7 | scrambled &>> 57) &* 9
    let shifted = s1 &<< 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = s3 &<< 45 | s3 &>> 19
    return result
  }

  /// The whole state, as four words.
  package var words: [UInt64] { [s0, s1, s2, s3] }

  /// A number from 0 up to but not including `bound`, without bias.
  ///
  /// - Parameter bound: must be positive.
  /// - Returns: the number.
  /// - Precondition: `bound` is positive.
  package mutating func number(below bound: Int) -> Int {
    precondition(bound > 0, "The bound must be positive.")
    let limit = UInt64(bound)
    // Draws from the incomplete last interval are thrown away.
    let rejected = (0 &- limit) % limit
    var draw = next()
    while draw < rejected { draw = next() }
    return Int(draw % limit)
  }

  /// A number with mean 0 and standard deviation 1, bell-shaped, at most 3.5 in magnitude.
  package mutating func bellShaped() -> Float {
    // The sum of four independent 16-bit uniform numbers; its variance is 4 / 12.
    let bits = next()
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + bits >> 48
    return (Float(sum) / 65_536 - 2) * 1.732_050_8
  }

  /// A bijection that turns nearby words into unrelated ones (the finaliser of SplitMix64).
  @inline(__always)
  static func mix(_ word: UInt64) -> UInt64 {
    var z = word
    z = (z ^ z &>> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z &>> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z &>> 31
  }
}
