import CheckpointFormat
import FuzzHarness
import Testing

@Suite("Chunks")
struct ChunkTests {
  private let file = try? SampleFile.tiny()

  /// Bytes of a row's fields.
  private enum Field: Int, CaseIterable {
    case frameOffset = 0
    case tensor = 8
    case chunk = 12
    case rawByteCount = 16
    case storedByteCount = 20
    case storedChecksum = 24
    case rawChecksum = 28
    case codec = 32
    case reserved = 36
  }

  private func refusal(
    row: Int = 0, _ changes: [(Field, UInt32)], region: Range<UInt64>? = nil,
    version: FormatVersion = .current
  ) throws -> FormatError? {
    let file = try SampleFile.tiny(version)
    var bytes = file.chunks.encoded
    for (field, value) in changes {
      bytes.overwrite(at: row * 40 + field.rawValue, with: littleEndian(value))
    }
    return failure { () throws(FormatError) in
      try ChunkTable(
        decoding: bytes.rawSpan, at: 0, of: file.tensors, filling: region ?? file.chunkRegion,
        version: version)
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func tableRoundTrips(version: FormatVersion) throws {
    let file = try SampleFile.tiny(version)
    #expect(file.chunks.entries.count == 4)
    #expect(file.chunks.entries.map(\.codec) == [.stored, version.codec, .stored, .stored])
    #expect(file.chunks.encoded.count == 4 * ChunkTable.entryByteCount)
    #expect(try refusal([], version: version) == nil)
  }

  @Test func everyFieldThatFollowsFromTheTensorsIsCompared() throws {
    for row in 0..<4 {
      for field in [Field.frameOffset, .tensor, .chunk, .rawByteCount] {
        for value in [63, 65, .max] as [UInt32] {
          #expect(isInconsistent(try refusal(row: row, [(field, value)])))
        }
      }
      #expect(try refusal(row: row, [(.reserved, 1)])?.kind == .reservedNotZero)
    }
  }

  @Test(arguments: [(.v1, 2), (.v2, 1)] as [(FormatVersion, UInt32)])
  func unknownCodecIsRefused(version: FormatVersion, codecOfTheOther: UInt32) throws {
    for codec in [codecOfTheOther, 3, 255, UInt32.max] {
      for row in 0..<2 {
        let error = try refusal(row: row, [(.codec, codec)], version: version)
        #expect(error?.kind == .inconsistent("unknown codec"))
      }
    }
  }

  @Test func storedChunkIsAsLongAsItIsAndHasOneChecksum() throws {
    #expect(isInconsistent(try refusal([(.storedByteCount, 23)])))
    #expect(isInconsistent(try refusal([(.storedByteCount, 25)])))
    #expect(isInconsistent(try refusal([(.storedChecksum, 0)])))
    #expect(isInconsistent(try refusal([(.rawChecksum, 0)])))
    #expect(try refusal([(.rawChecksum, 5), (.storedChecksum, 5)]) == nil)
  }

  @Test func encodedChunkIsSmallerThanItsBytes() throws {
    for count in [0, 64, 65, UInt32.max] {
      #expect(isInconsistent(try refusal(row: 1, [(.storedByteCount, count)])))
    }
    // Below 64 bytes all lengths take one stride, so that only the bounds decide.
    for count in [1, 63] as [UInt32] {
      #expect(try refusal(row: 1, [(.storedByteCount, count)]) == nil)
    }
    #expect(isInconsistent(try refusal(row: 1, [(.codec, 0)])))
    #expect(isInconsistent(try refusal(row: 0, [(.codec, 2)])))
  }

  @Test func chunksFillTheirRegionExactly() throws {
    let region = try #require(file).chunkRegion
    let (low, high) = (region.lowerBound, region.upperBound)
    for other in [low..<high + 64, low..<high - 64, low - 64..<high, low + 64..<high, low..<low] {
      #expect(isInconsistent(try refusal([], region: other)))
    }
  }

  @Test func lengthOfTheTableFollowsFromTheTensors() throws {
    let file = try #require(file)
    for bytes in [[], file.chunks.encoded + [0], file.chunks.encoded + file.chunks.encoded] {
      let error = failure { () throws(FormatError) in
        try ChunkTable(
          decoding: bytes.rawSpan, at: 0, of: file.tensors, filling: file.chunkRegion,
          version: .current)
      }
      #expect(isInconsistent(error))
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func frameHoldsWhatItsRowHolds(version: FormatVersion) throws {
    let file = try SampleFile.tiny(version)
    for entry in file.chunks.entries {
      let frame = entry.frame(in: file.header).encoded
      #expect(frame.count == ChunkFrame.byteCount)
      #expect(frame == Array(file.bytes[Int(entry.frameOffset)..<Int(entry.storedOffset)]))
      #expect(frame[..<4].elementsEqual("CHNK".utf8))
      #expect(Array(frame[4..<8]) == littleEndian(entry.codec.rawValue))
      #expect(Array(frame[8..<24]) == (0x10...0x1F).map { UInt8($0) })
      #expect(Array(frame[24..<28]) == littleEndian(entry.tensor))
      #expect(Array(frame[28..<32]) == littleEndian(entry.chunk))
      #expect(Array(frame[32..<40]) == littleEndian(UInt64(entry.chunk) * 64))
      #expect(Array(frame[40..<44]) == littleEndian(entry.rawByteCount))
      #expect(Array(frame[44..<48]) == littleEndian(entry.storedByteCount))
      #expect(Array(frame[48..<52]) == littleEndian(entry.storedChecksum))
      #expect(Array(frame[52..<56]) == littleEndian(entry.rawChecksum))
      #expect(Array(frame[56..<60]) == [0, 0, 0, 0])
      var again = frame
      again.seal(at: ChunkFrame.checksumOffset, as: version)
      #expect(again == frame)
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func everyPartOfTheIdentityChangesTheChecksum(version: FormatVersion) {
    let bytes: [UInt8] = [1, 2, 3, 4]
    let header = CheckpointHeader.blank(
      saveIdentifier: identifier(from: 0x10), formatVersion: version)
    let identity = ChunkIdentity(in: header, tensor: 2, chunk: 3, rawByteCount: 4)
    var others = [identity, identity, identity, identity]
    others[0].saveIdentifier = identifier(from: 0x11)
    others[1].tensor = 3
    others[2].chunk = 2
    others[3].rawByteCount = 5
    let checksums = ([identity] + others).map { $0.checksum(of: bytes.rawSpan) }
    #expect(Set(checksums).count == 5)
    let hashed =
      (0x10...0x1F).map { UInt8($0) } + littleEndian(UInt32(2)) + littleEndian(UInt32(3))
      + littleEndian(UInt32(4)) + bytes
    #expect(checksums[0] == version.checksum(hashed.rawSpan))
  }

  @Test(
    arguments: [
      (0, []), (1, [1]), (63, [63]), (64, [64]), (65, [64, 1]), (192, [64, 64, 64]),
    ] as [(UInt64, [Int])])
  func chunksOfATensorAddUpToIt(byteCount: UInt64, expected: [Int]) {
    let grid = ChunkGrid(chunkByteCount: 64)
    let count = Int(grid.chunkCount(of: byteCount))
    #expect((0..<count).map { grid.rawByteCount(chunk: $0, of: byteCount) } == expected)
  }

  @Test func largestTensorIsCutWithoutOverflow() {
    let grid = ChunkGrid(chunkByteCount: 64)
    let count = grid.chunkCount(of: Limits.tensorByteCountMax)
    #expect(count == 1 << 56)
    #expect(grid.rawByteCount(chunk: Int(count) - 1, of: Limits.tensorByteCountMax) == 64)
  }
}
