/// The SHA-256 digest of bytes that arrive in pieces (FIPS 180-4).
package struct SHA256 {
  private static let roundConstants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4,
    0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe,
    0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f,
    0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da, 0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7,
    0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc,
    0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
    0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070, 0x19a4_c116,
    0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7,
    0xc671_78f2,
  ]
  private static let blockByteCount = 64

  private var hash: SIMD8<UInt32> = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19,
  ]
  /// Bytes of a block that is not complete yet; always fewer than 64.
  private var pending: [UInt8] = []
  private var byteCount: UInt64 = 0

  /// Makes the digest of no bytes.
  package init() {}

  /// Appends `bytes` to the message.
  package mutating func update(_ bytes: RawSpan) {
    byteCount += UInt64(bytes.byteCount)
    var start = 0
    if !pending.isEmpty {
      start = min(Self.blockByteCount - pending.count, bytes.byteCount)
      append(bytes.extracting(0..<start))
      guard pending.count == Self.blockByteCount else { return }
      compressPending()
    }
    let wholeByteCount = (bytes.byteCount - start) / Self.blockByteCount * Self.blockByteCount
    compress(bytes.extracting(start..<start + wholeByteCount))
    append(bytes.extracting(start + wholeByteCount..<bytes.byteCount))
  }

  /// Ends the message.
  ///
  /// - Returns: the digest, 32 bytes.
  package consuming func finalize() -> [UInt8] {
    pending.append(0x80)
    let zeroCount = (2 * Self.blockByteCount - 8 - pending.count) % Self.blockByteCount
    pending.append(contentsOf: repeatElement(0, count: zeroCount))
    let bitCount = byteCount &* 8
    for shift in stride(from: 56, through: 0, by: -8) {
      pending.append(UInt8(truncatingIfNeeded: bitCount >> UInt64(shift)))
    }
    compressPending()
    return hash.indices.flatMap { lane in
      [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: hash[lane] >> UInt32($0)) }
    }
  }

  /// The digest of `bytes` as 64 lower-case hexadecimal digits.
  package static func hexadecimal(of bytes: [UInt8]) -> String {
    var digest = SHA256()
    // SAFETY: a UInt8 has no padding bytes.
    digest.update(unsafe bytes.span.bytes)
    return hexadecimal(digest.finalize())
  }

  /// `bytes` as lower-case hexadecimal digits.
  package static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private mutating func append(_ bytes: RawSpan) {
    for offset in bytes.byteOffsets {
      // SAFETY: the offset is in the span, and any byte is a valid UInt8.
      pending.append(unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
    }
  }

  /// Takes in the pending bytes, which are whole blocks, and starts anew without any.
  private mutating func compressPending() {
    let blocks = pending
    pending = []
    // SAFETY: a UInt8 has no padding bytes.
    compress(unsafe blocks.span.bytes)
  }

  /// Takes in whole blocks.
  private mutating func compress(_ blocks: RawSpan) {
    var schedule = [UInt32](repeating: 0, count: 64)
    var words = schedule.mutableSpan
    for block in stride(from: 0, to: blocks.byteCount, by: Self.blockByteCount) {
      for t in 0..<16 {
        // SAFETY: the span holds whole blocks, and any bytes are a valid UInt32.
        words[t] = unsafe UInt32(
          bigEndian: blocks.unsafeLoadUnaligned(
            fromByteOffset: block + 4 * t, as: UInt32.self))
      }
      for t in 16..<64 {
        let a = words[t - 15]
        let b = words[t - 2]
        let s0 = rotated(a, 7) ^ rotated(a, 18) ^ a &>> 3
        let s1 = rotated(b, 17) ^ rotated(b, 19) ^ b &>> 10
        words[t] = words[t - 16] &+ s0 &+ words[t - 7] &+ s1
      }
      hash &+= permuted(words.span)
    }
  }

  /// The eight working variables after 64 rounds.
  @inline(__always)
  private func permuted(_ words: Span<UInt32>) -> SIMD8<UInt32> {
    let constants = Self.roundConstants.span
    var (a, b, c, d) = (hash[0], hash[1], hash[2], hash[3])
    var (e, f, g, h) = (hash[4], hash[5], hash[6], hash[7])
    for t in 0..<64 {
      let s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
      let first = h &+ s1 &+ (g ^ (e & (f ^ g))) &+ constants[t] &+ words[t]
      let s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
      let second = s0 &+ ((a & b) | (c & (a | b)))
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ second)
    }
    return [a, b, c, d, e, f, g, h]
  }

  @inline(__always)
  private func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
    word &>> count | word &<< (32 &- count)
  }
}
