import CChecksum
import CheckpointFormat
import Testing

// Goal: every way of computing the checksum gives that of the standard, at every length and alignment.
// Method: published vectors; a reference that goes bit by bit; the ways against each other.
@Suite("CRC-32C") struct CRC32CTests {
  /// By the definition, a bit at a time.
  private func reference(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var state = UInt32.max
    for byte in bytes {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82f6_3b78 : state >> 1 }
    }
    return ~state
  }

  private func noise(_ count: Int) -> [UInt8] {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    return (0..<count).map { _ in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return UInt8(truncatingIfNeeded: state >> 32)
    }
  }

  @Test func publishedVectorsAreMet() {
    // RFC 3720, appendix B.4, and the check value that catalogues of checksums have.
    let readCommand: [UInt8] =
      [0x01, 0xc0] + [UInt8](repeating: 0, count: 14) + [0x14, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14]
      + [0, 0, 0, 0x18, 0x28] + [UInt8](repeating: 0, count: 7) + [0x02]
      + [UInt8](repeating: 0, count: 7)
    let vectors: [([UInt8], UInt32)] = [
      ([], 0), (Array("123456789".utf8), 0xe306_9283),
      ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
      ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43), (Array(0..<32), 0x46dd_794e),
      ((0..<32).reversed(), 0x113f_db5c), (readCommand, 0xd996_3a56),
    ]
    for (bytes, expected) in vectors {
      #expect(unsafe CRC32C.checksum(bytes.span.bytes) == expected)
      #expect(reference(bytes) == expected)
      for way in ways {
        #expect(unsafe checkpoint_crc32c_by(way, 0, bytes, bytes.count) == expected)
      }
    }
  }

  /// All that this processor has.
  private let ways = Array(0...checkpoint_crc32c_best_way())

  @Test func allWaysAgreeAtEveryLengthAndAlignment() {
    let bytes = noise(13_000)
    // Around what is summed in one, three short, and three long stretches, and by registers of 64 bytes.
    let lengths = Array(0...1600) + Array(12_270...12_310)
    unsafe bytes.withUnsafeBytes { buffer in
      for start in 0..<16 {
        for length in lengths {
          let part = unsafe UnsafeRawBufferPointer(rebasing: buffer[start..<start + length])
          let sums = ways.map { way in
            unsafe checkpoint_crc32c_by(way, 7, part.baseAddress, length)
          }
          #expect(Set(sums).count == 1, "\(length) bytes from \(start)")
        }
      }
    }
    for length in [1, 7, 8, 767, 768, 769, 12_287, 12_288, 12_289, 13_000] {
      #expect(
        unsafe CRC32C.checksum(bytes.span.bytes.extracting(first: length))
          == reference(bytes[..<length]))
    }
  }

  @Test func piecesOfAnySizeGiveTheSame() {
    let bytes = noise(30_000)
    let whole = unsafe CRC32C.checksum(bytes.span.bytes)
    for piece in [1, 3, 64, 769, 4096, 12_289] {
      var crc = CRC32C()
      var rest = unsafe bytes.span.bytes
      while !rest.isEmpty {
        let count = min(piece, rest.byteCount)
        crc.update(rest.extracting(first: count))
        rest = rest.extracting(droppingFirst: count)
      }
      #expect(crc.value == whole, "pieces of \(piece)")
    }
  }

  @Test func everyFlippedBitGivesAnotherSum() {
    var bytes = noise(800)
    let sum = unsafe CRC32C.checksum(bytes.span.bytes)
    for bit in 0..<bytes.count * 8 {
      bytes[bit / 8] ^= 1 << (bit % 8)
      let other = unsafe CRC32C.checksum(bytes.span.bytes)
      #expect(other != sum)
      bytes[bit / 8] ^= 1 << (bit % 8)
    }
  }
}
