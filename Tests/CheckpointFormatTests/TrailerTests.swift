import CheckpointFormat
import FuzzHarness
import Testing

@Suite("Trailer and front table")
struct TrailerTests {
  private let file = try? SampleFile.tiny()

  private func decode(
    _ bytes: [UInt8], fileByteCount: UInt64? = nil, limits: Limits = .default
  ) throws(FormatError) -> Trailer {
    var resealed = bytes
    if bytes.count == Trailer.byteCount { resealed.seal(at: Trailer.checksumOffset) }
    return try Trailer(
      decoding: resealed.rawSpan, fileByteCount: fileByteCount ?? UInt64(file?.bytes.count ?? 0),
      version: .current, limits: limits)
  }

  private func refusal(
    of bytes: [UInt8], fileByteCount: UInt64? = nil, limits: Limits = .default
  ) -> FormatError? {
    failure { () throws(FormatError) in
      try decode(bytes, fileByteCount: fileByteCount, limits: limits)
    }
  }

  /// What a trailer says with another section directory.
  private func refusal(_ change: (inout [Section]) -> Void) throws -> FormatError? {
    var trailer = try #require(file).trailer
    change(&trailer.sections)
    return refusal(of: trailer.encoded)
  }

  @Test func trailerRoundTrips() throws {
    let trailer = try #require(file).trailer
    #expect(trailer.encoded.count == Trailer.byteCount)
    #expect(try decode(trailer.encoded) == trailer)
    #expect(trailer.encoded.suffix(8).elementsEqual(FileStart.magic.reversed()))
  }

  @Test func trailerOfAnEmptyFileRoundTrips() throws {
    let file = try SampleFile.empty()
    #expect(file.bytes.count == 8192)
    #expect(try decode(file.trailer.encoded, fileByteCount: 8192) == file.trailer)
    #expect(file.chunkRegion == 4160..<4160)
    let table = file.section(.tensorTable)
    let tensors = try TensorTable(
      decoding: table.rawSpan, at: 0, grid: file.tensors.grid, limits: .default)
    #expect(tensors.entries.isEmpty)
  }

  @Test func fileOfAnotherLengthIsIncomplete() throws {
    let trailer = try #require(file).trailer
    let byteCount = trailer.fileByteCount
    for other in [1024, 4096, byteCount - 4096, byteCount + 1, byteCount + 4096, 1 << 63] {
      #expect(refusal(of: trailer.encoded, fileByteCount: other)?.kind == .incomplete)
    }
  }

  @Test func fileShorterThanATrailerIsRefused() throws {
    let bytes = try #require(file).trailer.encoded
    for byteCount in [0, 1, 1023] as [UInt64] {
      #expect(isTruncated(refusal(of: bytes, fileByteCount: byteCount)))
    }
    #expect(isTruncated(refusal(of: [])))
    #expect(isTruncated(refusal(of: FileStart.magic.reversed())))
    #expect(isTruncated(refusal(of: [0] + bytes)))
  }

  @Test func fileThatEndsInSomethingElseIsIncomplete() throws {
    let bytes = try #require(file).trailer.encoded
    for index in 1016..<1024 {
      let damaged = bytes.overwriting(at: index, with: [bytes[index] ^ 0x80])
      #expect(refusal(of: damaged)?.kind == .incomplete)
    }
    #expect(refusal(of: [UInt8](repeating: 0, count: 1024))?.kind == .incomplete)
  }

  @Test func everyRequiredSectionStandsOnceAndInOrder() throws {
    for index in 0..<4 {
      #expect(isInconsistent(try refusal { $0.remove(at: index) }))
      #expect(isInconsistent(try refusal { $0[index].kind = SectionKind(rawValue: 9) }))
      #expect(isInconsistent(try refusal { $0[index].kind = $0[(index + 1) % 4].kind }))
    }
    #expect(isInconsistent(try refusal { $0.removeAll() }))
    #expect(
      isInconsistent(
        try refusal {
          let kind = $0[1].kind
          $0[1].kind = $0[2].kind
          $0[2].kind = kind
        }))
  }

  @Test func unknownSectionsBehindTheRequiredOnesAreKept() throws {
    var trailer = try #require(file).trailer
    let end = trailer.sections[3].endOffset
    for number in 0..<20 {
      trailer.sections.append(
        Section(
          kind: SectionKind(rawValue: 100 + UInt32(number % 2)), flags: .max,
          offset: Layout.aligned(end), byteCount: 0, checksum: 0))
    }
    #expect(try decode(trailer.encoded).sections.count == 24)
    trailer.sections[10].kind = .metadata
    trailer.sections[10].flags = 0
    #expect(isInconsistent(refusal(of: trailer.encoded)))
  }

  @Test func flagsOfKnownSectionsAreZero() throws {
    for index in 0..<4 {
      for bit in 0..<32 {
        #expect(try refusal { $0[index].flags = 1 << bit }?.kind == .reservedNotZero)
      }
    }
  }

  @Test func sectionsLieOneBehindTheOther() throws {
    for index in 0..<4 {
      #expect(isInconsistent(try refusal { $0[index].offset += 64 }) || index == 0)
      #expect(isInconsistent(try refusal { $0[index].offset += 1 }))
      #expect(isInconsistent(try refusal { $0[index].byteCount += 4096 }))
      #expect(isInconsistent(try refusal { $0[index].byteCount = .max }))
      #expect(isInconsistent(try refusal { $0[index].offset = .max - 63 }))
      #expect(isInconsistent(try refusal { $0[index].offset = 0 }))
    }
  }

  @Test func sectionsBehindEachOtherButBeforeTheHeadersEndAreRefused() throws {
    let error = try refusal { sections in
      for index in sections.indices {
        sections[index].offset = 4032
        sections[index].byteCount = 0
      }
    }
    #expect(isInconsistent(error))
  }

  @Test func gapBeforeTheTrailerIsRefused() throws {
    // The sections fit, but the file could be 4,096 bytes shorter.
    var trailer = try #require(file).trailer
    trailer.fileByteCount += 4096
    let error = refusal(of: trailer.encoded, fileByteCount: trailer.fileByteCount)
    #expect(isInconsistent(error))
  }

  @Test func countOfSectionsIsAtMost24() throws {
    let bytes = try #require(file).trailer.encoded
    for count in [25, 1000, UInt32.max] {
      let damaged = bytes.overwriting(at: 768, with: littleEndian(count))
      #expect(isInconsistent(refusal(of: damaged)))
    }
    // Fewer than there are: the rows behind them should be zero.
    let damaged = bytes.overwriting(at: 768, with: littleEndian(UInt32(3)))
    #expect(refusal(of: damaged)?.kind == .reservedNotZero)
  }

  @Test func everyReservedByteIsRefusedUnlessZero() throws {
    let bytes = try #require(file).trailer.encoded
    let rows = (0..<4).flatMap { $0 * 32 + 28..<$0 * 32 + 32 }
    for offset in rows + Array(128..<768) + Array(772..<776) + Array(808..<1012) {
      let damaged = bytes.overwriting(at: offset, with: [1])
      #expect(refusal(of: damaged)?.kind == .reservedNotZero)
    }
  }

  @Test func sizeOfAllSectionsIsLimited() throws {
    let trailer = try #require(file).trailer
    var limits = Limits.default
    let total = trailer.sections[3].endOffset - trailer.sections[0].offset
    limits.indexByteCountMax = Int(total)
    #expect(refusal(of: trailer.encoded, limits: limits) == nil)
    limits.indexByteCountMax = Int(total) - 1
    #expect(isOverLimit(refusal(of: trailer.encoded, limits: limits)))
  }

  @Test func chunksLieBetweenTheFrontTableAndTheSections() throws {
    let file = try #require(file)
    let byteCount = UInt64(file.tensors.encoded.count)
    #expect(try file.trailer.chunkRegion(frontTableByteCount: byteCount) == file.chunkRegion)
    let error = failure { () throws(FormatError) in
      try file.trailer.chunkRegion(frontTableByteCount: 1 << 20)
    }
    #expect(isInconsistent(error))
  }

  @Test func headOfTheFrontTableRoundTrips() throws {
    let file = try #require(file)
    let table = file.tensors.encoded
    let (bytes, checksum) = FrontTable.encoded(table, in: file.header)
    #expect(bytes.count % 64 == 0)
    let head = try FrontTable.decodeHead(bytes.rawSpan)
    #expect(head.checksum == checksum)
    #expect(head.tableByteCount == UInt64(table.count))
    #expect(head.saveIdentifier == file.header.saveIdentifier)
    #expect(Array(bytes[32..<32 + table.count]) == table)
    #expect(FrontTable.endOffset(tableByteCount: head.tableByteCount) == 4096 + UInt64(bytes.count))
  }

  @Test(arguments: [(256 << 20) + 1, 1 << 32, 1 << 63, .max - 4000, .max] as [UInt64])
  func impossibleLengthOfTheFrontTableIsRefused(byteCount: UInt64) throws {
    let file = try #require(file)
    let (bytes, _) = FrontTable.encoded(file.tensors.encoded, in: file.header)
    let damaged = bytes.overwriting(at: 8, with: littleEndian(byteCount))
    let error = failure { () throws(FormatError) in
      try FrontTable.decodeHead(damaged.rawSpan)
    }
    #expect(error == FormatError(.inconsistent("length of the front table"), at: 4104))
  }
}
