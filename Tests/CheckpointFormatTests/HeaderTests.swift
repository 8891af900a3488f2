import CheckpointFormat
import FuzzHarness
import Testing

@Suite("File start and header")
struct HeaderTests {
  private let file = try? SampleFile.tiny()

  private func decode(
    _ bytes: [UInt8], limits: Limits = .default
  ) throws(FormatError) -> CheckpointHeader {
    var resealed = bytes
    resealed.seal(at: FileStart.checksumOffset, as: .v1)
    resealed.seal(at: CheckpointHeader.checksumOffset)
    return try CheckpointHeader(decoding: resealed.rawSpan, limits: limits)
  }

  private func refusal(at offset: Int, of value: [UInt8]) throws -> FormatError? {
    let header = try #require(file).header.encoded
    return failure { () throws(FormatError) in
      try decode(header.overwriting(at: offset, with: value))
    }
  }

  @Test func headerRoundTrips() throws {
    let header = try #require(file).header
    let bytes = header.encoded
    #expect(bytes.count == CheckpointHeader.byteCount)
    #expect(try CheckpointHeader(decoding: bytes.rawSpan, limits: .default) == header)
  }

  @Test func headerOfVersion1RoundTrips() throws {
    let header = try SampleFile.tiny(.v1).header
    let bytes = header.encoded
    #expect(bytes[12] == 1)
    #expect(try CheckpointHeader(decoding: bytes.rawSpan, limits: .default) == header)
    // With the checksum of the other version it is damaged.
    var resealed = bytes
    resealed.seal(at: CheckpointHeader.checksumOffset, as: .v2)
    let error = failure { () throws(FormatError) in
      try CheckpointHeader(decoding: resealed.rawSpan, limits: .default)
    }
    guard case .checksumMismatch(.header, _, _) = error?.kind else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func headerOfExtremesRoundTrips() throws {
    var header = try #require(file).header
    header.generation = Limits.counterMax
    header.step = Limits.counterMax
    header.supersededGeneration = Limits.counterMax
    header.savedAt = .min
    header.chunkByteCount = Limits.default.chunkByteCountMax
    header.writer = String(repeating: "ü", count: 128)
    header.preserveFeatures = FeatureSet(rawValue: .max)
    header.branchPoints = (0..<64).map {
      .init(generation: Limits.counterMax, step: $0, identifier: identifier(from: 0xF0))
    }
    #expect(try CheckpointHeader(decoding: header.encoded.rawSpan, limits: .default) == header)
  }

  @Test func absentParentIsZero() throws {
    var header = try #require(file).header
    header.parentIdentifier = nil
    #expect(header.encoded[96..<112].allSatisfy { $0 == 0 })
    #expect(try CheckpointHeader(decoding: header.encoded.rawSpan, limits: .default) == header)
  }

  @Test func otherMagicIsNoCheckpoint() throws {
    let bytes = try #require(file).header.encoded
    for index in 0..<8 {
      let damaged = bytes.overwriting(at: index, with: [bytes[index] ^ 1])
      #expect(
        failure { () throws(FormatError) in try FileStart(decoding: damaged.rawSpan) }
          == FormatError(.notACheckpoint, at: 0))
    }
  }

  @Test func flippedVersionReadsAsDamageAndNotAsTheFuture() throws {
    let damaged = try #require(file).header.encoded.overwriting(at: 12, with: [7])
    let error = failure { () throws(FormatError) in
      try CheckpointHeader(decoding: damaged.rawSpan, limits: .default)
    }
    guard case .checksumMismatch(.fileStart, _, _) = error?.kind else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: [0, 3, UInt32.max] as [UInt32])
  func otherVersionIsRefusedByName(version: UInt32) throws {
    let error = try refusal(at: 12, of: littleEndian(version))
    #expect(error == FormatError(.unsupportedVersion(version), at: 12))
    #expect(error?.isUnsupported == true)
  }

  @Test func startOfAnotherVersionIsReadable() throws {
    var bytes = Array(try #require(file).header.encoded[..<64])
    bytes.overwrite(at: 8, with: littleEndian(UInt32(128)) + littleEndian(UInt32(9)))
    bytes.seal(at: 60, as: .v1)
    let start = try FileStart(decoding: bytes.rawSpan)
    #expect(start.formatVersion == 9)
    #expect(start.headerByteCount == 128)
    #expect(start.generation == 7)
    #expect(start.saveIdentifier == identifier(from: 0x10))
  }

  @Test func everyUnknownReadFeatureIsRefusedByName() throws {
    for bit in 0..<64 {
      let error = try refusal(at: 16, of: littleEndian(UInt64(1) << bit))
      #expect(error == FormatError(.unsupportedFeatures(1 << bit), at: 16))
      #expect(error?.description.contains("bit \(bit).") == true)
    }
  }

  @Test func unknownPreserveFeaturesAreReadAndKept() throws {
    let bytes = try #require(file).header.encoded
    let header = try decode(bytes.overwriting(at: 24, with: littleEndian(UInt64(1) << 63)))
    #expect(header.preserveFeatures.rawValue == 1 << 63)
    #expect(try decode(header.encoded) == header)
  }

  @Test func otherHeaderLengthIsRefused() throws {
    #expect(isInconsistent(try refusal(at: 8, of: littleEndian(UInt32(8192)))))
    #expect(isInconsistent(try refusal(at: 8, of: littleEndian(UInt32(0)))))
  }

  @Test func generationsAreCountedFromOneAndCanGoOn() throws {
    for generation in [0, 1 << 63, UInt64.max] {
      #expect(isInconsistent(try refusal(at: 32, of: littleEndian(generation))))
    }
    #expect(try refusal(at: 32, of: littleEndian(UInt64(1))) == nil)
    #expect(try refusal(at: 32, of: littleEndian(Limits.counterMax)) == nil)
  }

  @Test(arguments: [112, 128, 512, 520])
  func countersBeyondTheirLimitAreRefused(offset: Int) throws {
    #expect(try refusal(at: offset, of: littleEndian(Limits.counterMax)) == nil)
    let error = try refusal(at: offset, of: littleEndian(Limits.counterMax + 1))
    #expect(isOverLimit(error))
    #expect(error?.offset == UInt64(offset))
  }

  @Test func chunkSizeIsAMultipleOf64WithinItsLimit() throws {
    for size in [64, 128, 1 << 20, 64 << 20] as [UInt32] {
      #expect(try refusal(at: 136, of: littleEndian(size)) == nil)
    }
    for size in [0, 1, 63, 65, 96, (64 << 20) - 1] as [UInt32] {
      #expect(isInconsistent(try refusal(at: 136, of: littleEndian(size))))
    }
    for size in [(64 << 20) + 1, (64 << 20) + 64, .max] as [UInt32] {
      #expect(isOverLimit(try refusal(at: 136, of: littleEndian(size))))
    }
  }

  @Test func strictLimitsRefuseALargeChunkSize() throws {
    let bytes = try #require(file).header.encoded
    for (size, isRefused) in [(4 << 20, false), ((4 << 20) + 64, true)] as [(UInt32, Bool)] {
      let error = failure { () throws(FormatError) in
        try decode(bytes.overwriting(at: 136, with: littleEndian(size)), limits: .strict)
      }
      #expect(isOverLimit(error) == isRefused)
    }
  }

  @Test func countsBeyondTheirRoomAreRefused() throws {
    let header = try #require(file).header.encoded
    for count in [65, 1000, UInt32.max] {
      #expect(isInconsistent(try refusal(at: 140, of: littleEndian(count))))
    }
    // More branch points than are there: empty ones. Fewer: bytes that should be zero.
    #expect(try refusal(at: 140, of: littleEndian(UInt32(64))) == nil)
    #expect(try refusal(at: 140, of: littleEndian(UInt32(0)))?.kind == .reservedNotZero)
    for count in [257, 360, 361, UInt32.max] {
      #expect(isInconsistent(try refusal(at: 144, of: littleEndian(count))))
    }
    #expect(try refusal(at: 144, of: littleEndian(UInt32(10)))?.kind == .reservedNotZero)
    #expect(try decode(header.overwriting(at: 144, with: [12])).writer == "example 1.0\0")
  }

  @Test func everyReservedByteIsRefusedUnlessZero() throws {
    let bytes = try #require(file).header.encoded
    let reserved = [56..<60, 148..<152, 163..<512, 544..<4092].joined()
    for offset in reserved {
      let error = failure { () throws(FormatError) in
        try decode(bytes.overwriting(at: offset, with: [0x10]))
      }
      #expect(error?.kind == .reservedNotZero)
    }
  }

  @Test func writerThatIsNotUTF8IsRefused() throws {
    #expect(try refusal(at: 152, of: [0xFF])?.kind == .invalidUTF8)
  }

  @Test func writerIsCutBetweenCharacters() throws {
    let sample = try #require(file).header
    for (text, expected) in [
      (String(repeating: "a", count: 300), 256), (String(repeating: "€", count: 100), 255),
      (String(repeating: "😀", count: 65), 256), ("", 0),
    ] {
      let header = CheckpointHeader(
        generation: 1, saveIdentifier: sample.saveIdentifier,
        checkpointIdentifier: sample.checkpointIdentifier, runIdentifier: sample.runIdentifier,
        parentIdentifier: nil, step: 0, savedAt: 0, supersededGeneration: 0, chunkByteCount: 64,
        writer: text, branchPoints: [])
      #expect(header.writer.utf8.count == expected)
      #expect(try decode(header.encoded) == header)
    }
  }

  @Test func oldestBranchPointsAreDropped() throws {
    let sample = try #require(file).header
    let points = (0..<70).map {
      CheckpointHeader.BranchPoint(
        generation: UInt64($0), step: 0, identifier: identifier(from: 1))
    }
    let header = CheckpointHeader(
      generation: 1, saveIdentifier: sample.saveIdentifier,
      checkpointIdentifier: sample.checkpointIdentifier, runIdentifier: sample.runIdentifier,
      parentIdentifier: nil, step: 0, savedAt: 0, supersededGeneration: 0, chunkByteCount: 64,
      writer: "", branchPoints: points)
    #expect(header.branchPoints.map(\.generation) == Array(6..<70))
  }

  @Test func errorsReadAsSentences() {
    let kinds: [FormatError.Kind] = [
      .truncated(needed: 8), .notACheckpoint, .incomplete,
      .checksumMismatch(.section, stored: 1, computed: 2), .reservedNotZero, .invalidUTF8,
      .overLimit("rank of a tensor", value: 33, limit: 32), .inconsistent("unknown dtype"),
      .unsupportedVersion(2), .unsupportedFeatures(0b101),
    ]
    for kind in kinds {
      let text = FormatError(kind, at: 0).description
      #expect(text.hasSuffix(".") && text.first?.isUppercase == true)
    }
    #expect(
      FormatError(.unsupportedFeatures(0b101), at: 0).description.contains("bit 0, bit 2"))
  }
}
