import CheckpointFormat
import Testing

@Suite("docs/format.md and the code")
struct FormatDocumentReferencesTests {
  private static let path = "docs/format.md"

  /// The numbers of all headings, for example `8.1`, and `A` for an appendix.
  private func headings() throws -> Set<String> {
    Set(
      try SourceTree.file(Self.path).lines.compactMap {
        $0.firstMatch(of: /^[#]+ (?:Appendix )?([0-9]+(?:\.[0-9]+)?|[A-Z])\.?\s/).map(\.1)
          .map(String.init)
      })
  }

  @Test func everySectionCitedInSourcesIsAHeading() throws {
    let headings = try headings()
    var citations = 0
    for file in try SourceTree.swiftFiles(in: "Sources") {
      for (number, line) in zip(1..., file.lines) {
        for match in line.matches(of: /docs\/format\.md, section ([0-9]+(?:\.[0-9]+)?)/) {
          citations += 1
          #expect(headings.contains(String(match.1)), "\(file.path):\(number)")
        }
      }
    }
    #expect(citations >= 10)
  }

  @Test func everySectionCitedInTheDocumentIsAHeading() throws {
    let headings = try headings()
    for (number, line) in zip(1..., try SourceTree.file(Self.path).lines) {
      // RFCs have sections of their own.
      for match in line.matches(of: /(RFC [0-9]+, )?section ([0-9]+(?:\.[0-9]+)?)/)
      where match.1 == nil {
        // "section 2: offset" in a test vector names a row of the directory.
        guard !line.hasPrefix("0000") else { continue }
        #expect(headings.contains(String(match.2)), "\(Self.path):\(number)")
      }
    }
  }

  @Test func everyConstantInTheDocumentIsThatOfTheCode() throws {
    let documented = try constantsInTheDocument()
    for (name, value) in documented {
      #expect(Self.constants[name] == value, "\(name)")
    }
    #expect(Set(documented.map(\.name)) == Set(Self.constants.keys))
    #expect(documented.count == Self.constants.count)
  }

  private func constantsInTheDocument() throws -> [(name: String, value: UInt64)] {
    let lines = try SourceTree.file(Self.path).lines
    let begin = try #require(lines.firstIndex(of: "<!-- constants:begin -->"))
    let end = try #require(lines.firstIndex(of: "<!-- constants:end -->"))
    return try lines[begin..<end].filter { $0.hasPrefix("| `") }.map { line in
      let columns = line.split(separator: "|").map { $0.trimmingPrefix(/\s+/) }
      let name = columns[0].prefix { $0 != " " }.dropFirst().dropLast()
      let digits = columns[1].prefix { $0 != " " }
      let value =
        digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
      return (String(name), try #require(value, "\(line)"))
    }
  }

  private static let constants: [String: UInt64] = {
    var constants: [String: UInt64] = [
      "FileStart.magic": FileStart.magic.reduce(0) { $0 << 8 | UInt64($1) },
      "FormatVersion.v1": UInt64(FormatVersion.v1.rawValue),
      "FormatVersion.v2": UInt64(FormatVersion.v2.rawValue),
      "FeatureSet.known": FeatureSet.known.rawValue,
      "Layout.alignment": Layout.alignment,
      "Layout.fileAlignment": Layout.fileAlignment,
      "Layout.frontTableOffset": Layout.frontTableOffset,
      "FrontTable.magic": UInt64(FrontTable.magic),
      "TensorTable.notAnAlias": UInt64(TensorTable.notAnAlias),
      "ChunkFrame.magic": UInt64(ChunkFrame.magic),
      "SectionKind.tensorTable": UInt64(SectionKind.tensorTable.rawValue),
      "SectionKind.nameOrder": UInt64(SectionKind.nameOrder.rawValue),
      "SectionKind.chunkTable": UInt64(SectionKind.chunkTable.rawValue),
      "SectionKind.metadata": UInt64(SectionKind.metadata.rawValue),
      "CodecIdentifier.stored": UInt64(CodecIdentifier.stored.rawValue),
      "CodecIdentifier.deflate": UInt64(CodecIdentifier.deflate.rawValue),
      "CodecIdentifier.planes": UInt64(CodecIdentifier.planes.rawValue),
      "Limits.dimensionMax": Limits.dimensionMax,
      "Limits.tensorByteCountMax": Limits.tensorByteCountMax,
      "Limits.counterMax": Limits.counterMax,
    ]
    for dtype in DType.allCases { constants["DType.\(dtype.name)"] = UInt64(dtype.rawValue) }
    for domain in Metadata.Domain.allCases {
      constants["Domain.\(domain)"] = UInt64(domain.rawValue)
    }
    for (name, value) in values { constants["MetadataValue.\(name)"] = UInt64(value.code) }
    for (name, value) in sizes { constants[name] = UInt64(value) }
    for (name, limit) in limits {
      constants["Limits.default.\(name)"] = UInt64(Limits.default[keyPath: limit])
      constants["Limits.strict.\(name)"] = UInt64(Limits.strict[keyPath: limit])
    }
    return constants
  }()

  private static let sizes: [String: Int] = [
    "FileStart.byteCount": FileStart.byteCount,
    "FileStart.checksumOffset": FileStart.checksumOffset,
    "CheckpointHeader.byteCount": CheckpointHeader.byteCount,
    "CheckpointHeader.writerOffset": CheckpointHeader.writerOffset,
    "CheckpointHeader.writerByteCountMax": CheckpointHeader.writerByteCountMax,
    "CheckpointHeader.branchPointOffset": CheckpointHeader.branchPointOffset,
    "CheckpointHeader.branchPointCountMax": CheckpointHeader.branchPointCountMax,
    "CheckpointHeader.checksumOffset": CheckpointHeader.checksumOffset,
    "FrontTable.headByteCount": FrontTable.headByteCount,
    "TensorTable.recordByteCount": TensorTable.recordByteCount,
    "ChunkFrame.byteCount": ChunkFrame.byteCount,
    "ChunkFrame.checksumOffset": ChunkFrame.checksumOffset,
    "ChunkTable.entryByteCount": ChunkTable.entryByteCount,
    "Metadata.recordByteCount": Metadata.recordByteCount,
    "Trailer.byteCount": Trailer.byteCount,
    "Trailer.sectionCountMax": Trailer.sectionCountMax,
    "Trailer.sectionByteCount": Trailer.sectionByteCount,
    "Trailer.checksumOffset": Trailer.checksumOffset,
  ]

  private static let values: [String: MetadataValue] = [
    "bool": .bool(true), "int64": .int64(0), "uint64": .uint64(0), "float64": .float64(0),
    "string": .string(""), "bytes": .bytes([]), "json": .json(""),
  ]

  private static let limits: [(String, any KeyPath<Limits, Int> & Sendable)] = [
    ("tensorCountMax", \.tensorCountMax), ("chunkCountMax", \.chunkCountMax),
    ("chunkByteCountMax", \.chunkByteCountMax), ("indexByteCountMax", \.indexByteCountMax),
    ("metadataByteCountMax", \.metadataByteCountMax),
    ("metadataValueByteCountMax", \.metadataValueByteCountMax),
    ("metadataCountMax", \.metadataCountMax), ("nameByteCountMax", \.nameByteCountMax),
    ("rankMax", \.rankMax), ("jsonDepthMax", \.jsonDepthMax),
  ]
}
