import CheckpointFormat
import FuzzHarness
import Testing

@Suite("Metadata")
struct MetadataTests {
  private func decode(
    _ bytes: [UInt8], limits: Limits = .default
  ) throws(FormatError) -> Metadata {
    try Metadata(decoding: bytes.rawSpan, at: 4096, limits: limits)
  }

  private func refusal(of bytes: [UInt8], limits: Limits = .default) -> FormatError? {
    failure { () throws(FormatError) in try decode(bytes, limits: limits) }
  }

  /// One entry by its fields.
  private func entry(
    domain: UInt8 = 0, type: UInt8 = 6, name: [UInt8] = [0x6E], value: [UInt8] = []
  ) -> [UInt8] {
    [domain, type] + littleEndian(UInt16(name.count)) + littleEndian(UInt32(value.count)) + name
      + value
  }

  private func section(_ entries: [UInt8]...) -> [UInt8] {
    littleEndian(UInt32(entries.count)) + [0, 0, 0, 0] + entries.joined()
  }

  private static let everyValue: [MetadataValue] =
    [
      .bool(false), .bool(true), .int64(.min), .int64(-1), .int64(.max), .uint64(0),
      .uint64(.max), .string(""), .string("ü\u{0}\n"), .bytes([]), .bytes([0, 255]),
      .json("{\"a\": [1, 2]}"), .json(""),
    ]
    + [
      0, 0x8000_0000_0000_0000, 0x7FF0_0000_0000_0000, 0xFFF0_0000_0000_0000,
      0x7FF8_0000_0000_0000, 0x7FF0_0000_0000_0001, 0xFFF8_DEAD_BEEF_0001, 1,
    ].map { MetadataValue.float64(bits: $0) }

  @Test func valuesAndDescriptorsHashAsTheyCompare() {
    let values = Self.everyValue + [.string("e\u{301}"), .string("\u{e9}"), .json("\u{e9}")]
    #expect(Set(values).count == values.count)
    #expect(Set(values + values).count == values.count)
    let descriptors = ["e\u{301}", "\u{e9}"].flatMap { name in
      [DType.int8, .uint8].map { TensorDescriptor(name: name, dtype: $0, shape: [1]) }
    }
    #expect(Set(descriptors + descriptors).count == 4)
  }

  @Test func damageIsNotTakenForAFileOfALaterVersion() {
    #expect(!FormatError(.notACheckpoint, at: 0).isUnsupported)
    #expect(FormatError(.unsupportedVersion(2), at: 12).isUnsupported)
  }

  @Test(arguments: everyValue)
  func valueRoundTripsBitForBit(value: MetadataValue) throws {
    var metadata = Metadata()
    metadata[.state, "value"] = value
    metadata[.environment, ""] = value
    let bytes = try metadata.encoded()
    let again = try decode(bytes)
    #expect(again == metadata)
    #expect(again[.state, "value"] == value)
    #expect(try again.encoded() == bytes)
  }

  @Test func entriesByHandAreTheEncoding() throws {
    var metadata = Metadata()
    metadata[.stateVersion, ""] = .int64(2)
    metadata[.state, "b"] = .bool(true)
    metadata[.state, "a"] = .string("x")
    let two = littleEndian(UInt64(2))
    let bytes = section(
      entry(type: 5, name: [0x61], value: [0x78]), entry(type: 1, name: [0x62], value: [1]),
      entry(domain: 3, type: 2, name: [], value: two))
    #expect(try metadata.encoded() == bytes)
    #expect(try decode(bytes) == metadata)
  }

  @Test func noValuesAreEightZeros() throws {
    #expect(try Metadata().encoded() == [UInt8](repeating: 0, count: 8))
    #expect(try decode([UInt8](repeating: 0, count: 8)) == Metadata())
  }

  @Test func equivalentNamesAreTwoValues() throws {
    var metadata = Metadata()
    metadata[.state, "caf\u{E9}"] = .int64(1)
    metadata[.state, "cafe\u{301}"] = .int64(2)
    #expect(metadata.values.count == 2)
    let again = try decode(try metadata.encoded())
    #expect(again[.state, "caf\u{E9}"] == .int64(1))
    #expect(again[.state, "cafe\u{301}"] == .int64(2))
    #expect(try again.encoded() == metadata.encoded())
  }

  @Test func equivalentTextsAreDifferentValues() {
    #expect(MetadataValue.string("\u{E9}") != .string("e\u{301}"))
    #expect(MetadataValue.json("\u{E9}") != .json("e\u{301}"))
    #expect(MetadataValue.string("a") != .json("a"))
    #expect(MetadataValue.int64(1) != .uint64(1))
    let values: Set = [MetadataValue.string("\u{E9}"), .string("e\u{301}"), .string("\u{E9}")]
    #expect(values.count == 2)
  }

  @Test func entriesAreInOrderAndStandOnce() {
    let (a, b) = (entry(name: [0x61]), entry(name: [0x62]))
    let metric = entry(domain: 1, type: 4, name: [0x61], value: [0, 0, 0, 0, 0, 0, 0, 0])
    #expect(refusal(of: section(a, b, metric)) == nil)
    #expect(isInconsistent(refusal(of: section(b, a))))
    #expect(isInconsistent(refusal(of: section(a, a))))
    #expect(isInconsistent(refusal(of: section(metric, a))))
  }

  @Test func domainsTakeOnlyTheirTypes() {
    let eight = [UInt8](repeating: 0, count: 8)
    for type in 1...7 as ClosedRange<UInt8> {
      let value = type == 1 ? [0] : type <= 4 ? eight : []
      func isRefused(_ domain: UInt8) -> Bool {
        isInconsistent(refusal(of: section(entry(domain: domain, type: type, value: value))))
      }
      #expect(!isRefused(0))
      #expect(isRefused(1) == (type != 4))
      #expect(!isRefused(2))
      #expect(isRefused(3) == (type != 2))
      #expect(isRefused(4) && isRefused(255))
    }
    for type in [0, 8, 255] as [UInt8] {
      #expect(isInconsistent(refusal(of: section(entry(type: type)))))
    }
  }

  @Test func valuesHaveTheLengthOfTheirType() {
    for (type, length) in [(1, 1), (2, 8), (3, 8), (4, 8)] as [(UInt8, Int)] {
      for count in [0, 1, 7, 8, 9] where count != length {
        let value = [UInt8](repeating: 0, count: count)
        #expect(isInconsistent(refusal(of: section(entry(type: type, value: value)))))
      }
    }
    for value in [2, 3, 0x80, 0xFF] as [UInt8] {
      #expect(isInconsistent(refusal(of: section(entry(type: 1, value: [value])))))
    }
    #expect(refusal(of: section(entry(type: 5, value: [0xC3])))?.kind == .invalidUTF8)
    #expect(refusal(of: section(entry(type: 7, value: [0xC3])))?.kind == .invalidUTF8)
  }

  @Test func namesAreAtMost4096BytesWithoutControlCharacters() {
    func name(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x6E, count: count) }
    #expect(refusal(of: section(entry(name: []))) == nil)
    #expect(refusal(of: section(entry(name: name(4096)))) == nil)
    #expect(isOverLimit(refusal(of: section(entry(name: name(4097))))))
    #expect(isOverLimit(refusal(of: section(entry(name: name(65_535))))))
    for bytes in [[0x00], [0x0A], [0x1B], [0x7F], [0xC2, 0x80], [0xC2, 0x9F]] as [[UInt8]] {
      #expect(isInconsistent(refusal(of: section(entry(name: bytes)))))
    }
    #expect(refusal(of: section(entry(name: [0xFF])))?.kind == .invalidUTF8)
  }

  @Test func writerRefusesWhatAReaderWouldRefuse() {
    func refusal(_ name: String, _ value: MetadataValue) -> FormatError? {
      var metadata = Metadata()
      metadata[.state, name] = value
      return failure { () throws(FormatError) in try metadata.encoded() }
    }
    #expect(isOverLimit(refusal(String(repeating: "n", count: 4097), .bool(true))))
    #expect(isOverLimit(refusal(String(repeating: "n", count: 70_000), .bool(true))))
    #expect(isInconsistent(refusal("a\u{1B}b", .bool(true))))
    let most = Limits.default.metadataValueByteCountMax
    #expect(refusal("n", .bytes([UInt8](repeating: 0, count: most))) == nil)
    #expect(isOverLimit(refusal("n", .bytes([UInt8](repeating: 0, count: most + 1)))))
    #expect(isOverLimit(refusal("n", .json(String(repeating: "[", count: 33)))))
    var metadata = Metadata()
    metadata[.metric, "loss"] = .string("low")
    #expect(isInconsistent(failure { () throws(FormatError) in try metadata.encoded() }))
  }

  @Test func wholeSectionIsLimited() {
    var metadata = Metadata()
    for number in 0..<4 {
      metadata[.state, "\(number)"] = .bytes(
        [UInt8](repeating: 0, count: Limits.default.metadataValueByteCountMax))
    }
    let error = failure { () throws(FormatError) in try metadata.encoded() }
    #expect(isOverLimit(error))
  }

  @Test func jsonNestsThirtyTwoDeep() {
    func refusal(_ text: String) -> FormatError? {
      self.refusal(of: section(entry(type: 7, value: Array(text.utf8))))
    }
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(refusal(nested(32)) == nil)
    #expect(isOverLimit(refusal(nested(33))))
    #expect(isOverLimit(refusal(String(repeating: "{\"a\":[", count: 17))))
    #expect(refusal(nested(32) + "," + nested(32)) == nil)
    #expect(refusal("\"" + String(repeating: "[", count: 100) + "\"") == nil)
    #expect(refusal("\"\\\"" + String(repeating: "[", count: 100) + "\"") == nil)
    #expect(isOverLimit(refusal("\"\\\\\"" + String(repeating: "[", count: 33))))
    // Brackets that close nothing do not make room for more.
    #expect(isOverLimit(refusal("]]]]" + nested(33))))
    #expect(isOverLimit(refusal(String(repeating: "[", count: 100_000))))
  }

  @Test(arguments: [1, 1000, 1 << 20, (1 << 20) + 1, UInt32.max] as [UInt32])
  func hugeCountOverATinyBodyIsRefusedBeforeMemoryIsAskedFor(count: UInt32) {
    let error = refusal(of: littleEndian(count) + [0, 0, 0, 0])
    #expect(count > 1 << 20 ? isOverLimit(error) : isTruncated(error))
  }

  @Test func hugeLengthOverATinyBodyIsRefusedBeforeMemoryIsAskedFor() {
    for length in [1, 4 << 20] as [UInt32] {
      let bytes = section(entry().overwriting(at: 4, with: littleEndian(length)))
      #expect(isTruncated(refusal(of: bytes)))
    }
    for length in [(4 << 20) + 1, UInt32.max] as [UInt32] {
      let bytes = section(entry().overwriting(at: 4, with: littleEndian(length)))
      #expect(isOverLimit(refusal(of: bytes)))
    }
    for (length, isTooLong) in [(4096, false), (4097, true), (.max, true)] as [(UInt16, Bool)] {
      let bytes = section(entry().overwriting(at: 2, with: littleEndian(length)))
      let error = refusal(of: bytes)
      #expect(isTooLong ? isOverLimit(error) : isTruncated(error))
    }
  }

  @Test func bytesAfterTheLastValueAreRefused() {
    #expect(isInconsistent(refusal(of: section(entry()) + [0])))
    #expect(refusal(of: section().overwriting(at: 4, with: [1]))?.kind == .reservedNotZero)
  }

  @Test func strictLimitsAreKept() {
    var limits = Limits.strict
    limits.metadataCountMax = 1
    let (a, b) = (entry(name: [0x61]), entry(name: [0x62]))
    #expect(refusal(of: section(a), limits: limits) == nil)
    #expect(isOverLimit(refusal(of: section(a, b), limits: limits)))
    limits.metadataByteCountMax = 17
    #expect(refusal(of: section(a), limits: limits) == nil)
    limits.metadataByteCountMax = 16
    #expect(isOverLimit(refusal(of: section(a), limits: limits)))
    limits = .strict
    limits.nameByteCountMax = 0
    #expect(isOverLimit(refusal(of: section(a), limits: limits)))
  }
}
