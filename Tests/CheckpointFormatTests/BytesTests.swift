import CheckpointFormat
import FuzzHarness
import Testing

@Suite("Bytes")
struct BytesTests {
  @Test(
    arguments: [
      ([], 0x0000_0000), (Array("123456789".utf8), 0xCBF4_3926), (Array("a".utf8), 0xE8B7_BE43),
      ([UInt8](repeating: 0, count: 32), 0x190A_55AD),
      ([UInt8](repeating: 0xFF, count: 32), 0xFF6C_AB0B),
      (Array("The quick brown fox jumps over the lazy dog".utf8), 0x414F_A339),
    ] as [([UInt8], UInt32)])
  func checksumIsTheOneOfZlib(bytes: [UInt8], expected: UInt32) {
    #expect(CRC32.checksum(bytes.rawSpan) == expected)
  }

  @Test func checksumOfPiecesIsTheChecksumOfTheWhole() {
    let bytes = (0..<256).map { UInt8($0) }
    for cut in [0, 1, 7, 64, 255, 256] {
      var crc = CRC32()
      crc.update(bytes.rawSpan.extracting(0..<cut))
      crc.update(bytes.rawSpan.extracting(0..<0))
      crc.update(bytes.rawSpan.extracting(cut..<256))
      #expect(crc.value == CRC32.checksum(bytes.rawSpan))
    }
  }

  @Test func integersAreLittleEndian() throws {
    let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    var reader = ByteReader(bytes.rawSpan, at: 0)
    let value = try reader.read(UInt64.self)
    #expect(value == 0x0807_0605_0403_0201)
    #expect(littleEndian(value) == bytes)
    #expect(littleEndian(UInt16(0x0102)) == [2, 1])
  }

  @Test func identifiersAreLaidOutAsTheirDigitsRead() throws {
    let identifier = identifier(from: 0x10)
    #expect(identifier.description == "101112131415161718191a1b1c1d1e1f")
    var writer = ByteWriter()
    writer.append(identifier)
    #expect(writer.bytes == (0x10...0x1F).map { UInt8($0) })
    let bytes = writer.bytes
    var reader = ByteReader(bytes.rawSpan, at: 0)
    let again = try reader.readIdentifier()
    #expect(again == identifier)
  }

  @Test func identifierReadsOnlyItsOwnDescription() {
    let text = "00112233445566778899aabbccddeeff"
    #expect(Identifier(text)?.description == text)
    #expect(Identifier(text.uppercased()) == nil)
    #expect(Identifier(String(text.dropLast())) == nil)
    #expect(Identifier(text + "0") == nil)
    #expect(Identifier("g" + text.dropFirst()) == nil)
    #expect(Identifier("+" + text.dropFirst()) == nil)
    #expect(Identifier("") == nil)
  }

  @Test func failedReadLeavesTheReaderInPlace() throws {
    let bytes: [UInt8] = [1, 2, 3]
    var reader = ByteReader(bytes.rawSpan, at: 1000)
    _ = try reader.read(UInt8.self)
    for attempt in 0..<3 {
      do throws(FormatError) {
        switch attempt {
        case 0: _ = try reader.read(UInt32.self)
        case 1: _ = try reader.readBytes(3)
        default: _ = try reader.readIdentifier()
        }
        Issue.record("read beyond the end")
      } catch {
        #expect(isTruncated(error))
        #expect(error.offset == 1001)
      }
      let remaining = reader.remainingByteCount
      #expect(remaining == 2)
    }
    let rest = try reader.readBytes(2).copied()
    #expect(rest == [2, 3])
  }

  @Test func firstByteThatIsNotZeroIsNamed() {
    var bytes = [UInt8](repeating: 0, count: 8)
    for index in bytes.indices {
      bytes[index] = 0x80
      let error = failure { () throws(FormatError) in
        var reader = ByteReader(bytes.rawSpan, at: 100)
        try reader.skipZeros(8)
      }
      #expect(error == FormatError(.reservedNotZero, at: 100 + UInt64(index)))
      bytes[index] = 0
    }
  }

  @Test(
    arguments: [
      [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80],
    ] as [[UInt8]])
  func textThatIsNotUTF8IsRefused(bytes: [UInt8]) {
    let error = failure { () throws(FormatError) in
      var reader = ByteReader(bytes.rawSpan, at: 5)
      return try reader.readString(bytes.count)
    }
    #expect(error == FormatError(.invalidUTF8, at: 5))
  }

  @Test func firstDifferenceIsFoundAtAnyPlace() {
    let left = (0..<40).map { UInt8($0) }
    #expect(left.rawSpan.firstDifference(from: left.rawSpan) == nil)
    for index in left.indices {
      let right = left.overwriting(at: index, with: [0xFF])
      #expect(left.rawSpan.firstDifference(from: right.rawSpan) == index)
    }
    let shorter = Array(left[..<39])
    #expect(left.rawSpan.firstDifference(from: shorter.rawSpan) == 39)
    #expect(shorter.rawSpan.firstDifference(from: left.rawSpan) == 39)
  }

  @Test func firstNonZeroIsFoundAtAnyPlace() {
    for count in 0..<40 {
      let zeros = [UInt8](repeating: 0, count: count)
      #expect(zeros.rawSpan.firstNonZeroIndex == nil)
      for index in zeros.indices {
        // What follows the first one changes nothing.
        var bytes = zeros.overwriting(at: index, with: [0x80])
        #expect(bytes.rawSpan.firstNonZeroIndex == index)
        bytes[count - 1] = 1
        #expect(bytes.rawSpan.firstNonZeroIndex == index)
      }
    }
  }

  @Test(arguments: [(0, 0), (1, 64), (63, 64), (64, 64), (65, 128)] as [(UInt64, UInt64)])
  func framesAndSectionsBeginAtMultiplesOf64(offset: UInt64, aligned: UInt64) {
    #expect(Layout.aligned(offset) == aligned)
  }

  @Test(
    arguments: [
      (0, 4096), (3071, 4096), (3072, 4096), (3073, 8192), (4096, 8192),
    ] as [(UInt64, UInt64)])
  func fileIsAMultipleOf4096WithRoomForTheTrailer(end: UInt64, byteCount: UInt64) {
    #expect(Layout.fileByteCount(sectionsEnd: end) == byteCount)
  }

  @Test func checksumsAreShownWithEightDigits() {
    #expect(hexadecimal(0) == "0x00000000")
    #expect(hexadecimal(0xABC) == "0x00000abc")
    #expect(hexadecimal(.max) == "0xffffffff")
  }
}
