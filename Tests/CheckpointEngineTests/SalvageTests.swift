import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: of a damaged file every tensor comes back whose chunks are intact, with the bits it was saved with,
// as long as either of its tables is left; and what is lost is told.
// Method: a file with every kind of record loses each of its parts, each pair and each triple of them, each
// frame, each chunk, and each end; what comes back is compared with what was saved.
@Suite struct SalvageTests {
  private static let allParts = [
    "file start", "rest of the header", "header", "front table", "tensor table", "name order",
    "chunk table", "metadata", "trailer", "frames",
  ]

  /// Readers take such names, and so another program may have written them.
  @Test(arguments: FormatVersion.allCases)
  func namesThatOnlyLookDifferentComeBack(version: FormatVersion) throws {
    let path = repositoryPath("Tests/Fixtures/v\(version.rawValue)/equivalent-names.ckpt")
    let bytes = try bytes(ofFileAt: path)
    let source = try FileInMemory(bytes).open()
    let result = try SalvageFixture(version).salvage(Array(bytes.dropLast(1024)))
    let reader = try #require(result?.reader)
    #expect(result?.report.lostTensorCount == 0)
    #expect(reader.tensors == source.tensors)
    for name in source.tensors.map(\.name) { #expect(try reader.read(name) == source.read(name)) }
  }

  @Test(arguments: FormatVersion.allCases)
  func anIntactFileIsCopied(version: FormatVersion) throws {
    // Without what this build does not know, which would be lost.
    let disk = SimulatedDisk()
    let store = try disk.writer(ReferenceFile.chunkByteCount, formatVersion: version)
    try store.save(ReferenceFile.state(), step: 500)
    let fixture = try SalvageFixture(version)
    let result = try fixture.salvage(disk.contents(checkpointName(500, 1)))
    try fixture.requireRecovered(fixture.state.tensors, result, "all")
    let report = try #require(result?.report)
    let reader = try #require(result?.reader)
    #expect(report.isComplete && report.damagedParts.isEmpty)
    #expect(reader.metadata.unhealthyReason == nil)
    #expect(reader.header.formatVersion == .current)
    var metadata = fixture.state.metadata
    metadata[.environment, "salvaged_from"] = .string(report.saveIdentifier.description)
    #expect(reader.metadata.values == metadata.values)
    #expect(reader.header.step == 500 && reader.header.generation == 1)
    #expect(reader.header.saveIdentifier != report.saveIdentifier)
  }

  @Test(arguments: FormatVersion.allCases)
  func eachPartAndEachPairAndTripleOfThemMayBeLost(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    for first in Self.allParts {
      for second in Self.allParts {
        for third in Self.allParts where first <= second && second <= third {
          let lost = Set([first, second, third])
          let comment: Comment = "\(lost.sorted())"
          let result = try fixture.salvage(
            fixture.damaging([first, second, third], with: first == second ? 0xFF : 0))
          try check(fixture, result, lost, comment)
        }
      }
    }
  }

  /// What must come back when parts are lost, all chunks being intact.
  private func check(
    _ fixture: SalvageFixture, _ result: (report: SalvageReport, reader: CheckpointReader?)?,
    _ lost: Set<String>, _ comment: Comment
  ) throws {
    let hasTrailer = !lost.contains("trailer")
    let hasTable =
      !lost.contains("front table") || (hasTrailer && !lost.contains("tensor table"))
    let hasChunks = !lost.contains("frames") || (hasTrailer && !lost.contains("chunk table"))
    let report = try #require(result?.report, comment)
    if hasTable {
      // Without frames and rows only what has no bytes can be told to be whole.
      let all = fixture.state.tensors
      try fixture.requireRecovered(
        hasChunks ? all : all.filter(\.bytes.isEmpty), result, comment)
    } else if hasChunks {
      try requireBytes(fixture, result, comment)
    } else {
      #expect(report.tensors.isEmpty, comment)
    }
    #expect(report.areTablesLost == !hasTable, comment)
    let hasValues = hasTrailer && !lost.contains("metadata")
    #expect((report.valueCount != nil) == hasValues, comment)
    guard let reader = result?.reader else { return }
    if hasValues {
      #expect(
        fixture.state.metadata.values.allSatisfy { reader.metadata.values[$0.key] == $0.value },
        comment)
    } else {
      #expect(reader.metadata.entries(of: .state).isEmpty, comment)
    }
    let hasHeader = lost.isDisjoint(with: ["file start", "rest of the header", "header"])
    #expect(report.damagedParts.contains(.header) == !hasHeader, comment)
    #expect(reader.header.step == (hasHeader ? 500 : 0), comment)
    // The reference file holds what this build does not know, so that something is always lost.
    #expect(reader.metadata.unhealthyReason?.contains("salvaged") == true, comment)
    #expect(reader.metadata[.environment, "salvaged_from"] != nil, comment)
  }

  /// Requires that each tensor's bytes are there under its number.
  private func requireBytes(
    _ fixture: SalvageFixture, _ result: (report: SalvageReport, reader: CheckpointReader?)?,
    _ comment: Comment
  ) throws {
    let reader = try #require(result?.reader, comment)
    try #require(reader.verify(.full).isIntact, comment)
    let owners = fixture.state.tensors.enumerated().filter {
      $0.element.aliasOf == nil && !$0.element.bytes.isEmpty
    }
    #expect(reader.tensors.map(\.name) == owners.map { "salvaged/\($0.offset)" }, comment)
    for (number, tensor) in owners {
      #expect(try reader.read("salvaged/\(number)") == tensor.bytes, comment)
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func eachEndMayBeCutOff(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    var borders = Set(fixture.parts.flatMap { [$0.range.lowerBound, $0.range.upperBound] })
    for entry in fixture.chunks {
      borders.formUnion([Int(entry.frameOffset), Int(entry.storedOffset), Int(entry.endOffset)])
      borders.insert(fixture.stored(entry).upperBound)
    }
    for border in borders.flatMap({ [$0 - 1, $0, $0 + 1] })
    where (0..<fixture.intact.count).contains(border) {
      let result = try fixture.salvage(Array(fixture.intact[..<border]))
      guard border >= fixture.frontTable.upperBound else {
        // Which save it is may be known, and nothing else.
        #expect(result?.report.target == nil, "\(border)")
        continue
      }
      let lost = fixture.chunks.indices.filter {
        fixture.stored(fixture.chunks[$0]).upperBound > border
      }
      try fixture.requireRecovered(fixture.tensors(without: Set(lost)), result, "\(border)")
      #expect(result?.report.isComplete == false, "\(border)")
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func eachBeginningMayBeCutOff(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    let firsts = [64, 4096] + fixture.chunks.map { Int($0.frameOffset) }
    for first in firsts {
      let result = try fixture.salvage(Array(fixture.intact[first...]))
      let lost = fixture.chunks.indices.filter { fixture.chunks[$0].frameOffset < first }
      try fixture.requireRecovered(fixture.tensors(without: Set(lost)), result, "\(first)")
      #expect(result?.report.valueCount == fixture.state.metadata.values.count, "\(first)")
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func bytesMayStandInFrontBetweenAndBehind(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    let other = [UInt8](repeating: 0xA5, count: 4096 + 64)
    for place in [0, 4096, Int(fixture.chunks[3].frameOffset), fixture.intact.count] {
      var bytes = fixture.intact
      bytes.insert(contentsOf: other, at: place)
      let result = try fixture.salvage(bytes)
      try fixture.requireRecovered(fixture.state.tensors, result, "\(place)")
      #expect(result?.report.valueCount == fixture.state.metadata.values.count, "\(place)")
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func eachChunkIsLostWithItsTensorAndNoOther(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    for (number, entry) in fixture.chunks.enumerated() {
      for offset in fixture.stored(entry) {
        var bytes = fixture.intact
        bytes[offset] ^= 0x10
        let result = try fixture.salvage(bytes)
        let comment: Comment = "chunk \(number), byte \(offset)"
        try fixture.requireRecovered(fixture.tensors(without: [number]), result, comment)
        let name = fixture.state.tensors[Int(entry.tensor)].descriptor.name
        let tensor = result?.report.tensors.first { $0.descriptor.name == name }
        let start = UInt64(entry.chunk) * UInt64(ReferenceFile.chunkByteCount)
        #expect(tensor?.lostRanges == [start..<start + UInt64(entry.rawByteCount)], comment)
        #expect(tensor?.lostChunkCount == 1, comment)
        if offset > fixture.stored(entry).lowerBound + 16 { break }
      }
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func aFrameMayBeLostWhileTheChunkTableIsThereAndOtherwiseCostsItsChunk(version: FormatVersion)
    throws
  {
    let fixture = try SalvageFixture(version)
    for (number, entry) in fixture.chunks.enumerated() {
      for byte in [0, 5, 10, 24, 28, 32, 40, 44, 48, 52, 56, 60] {
        for parts in [[], ["chunk table"], ["trailer"], ["header", "trailer"]] {
          var bytes = fixture.damaging(parts)
          bytes[Int(entry.frameOffset) + byte] ^= 1
          let lost: Set<Int> = parts.isEmpty ? [] : [number]
          try fixture.requireRecovered(
            fixture.tensors(without: lost), fixture.salvage(bytes), "\(number) \(byte) \(parts)")
        }
      }
    }
  }

  @Test(arguments: FormatVersion.allCases, [1, 2])
  func sectorsThatCannotBeReadCostWhatIsInThem(version: FormatVersion, threads: Int) throws {
    let fixture = try SalvageFixture(version)
    for entry in fixture.chunks.indices where entry % 3 == 0 {
      // The rest is found by the chunk table, and by frames if that is in a bad sector too.
      for others in [[], [fixture.trailer], [0..<64]] {
        let bad = fixture.stored(fixture.chunks[entry])
        let result = try fixture.salvage(fixture.intact, threads: threads) { disk in
          for range in [bad] + others { disk.makeUnreadable(fileAt: "/damaged", range: range) }
        }
        let recovered = try #require(result?.report.tensors.filter(\.isRecovered).map(\.descriptor))
        // Searching gives up a block of 4,096 bytes; by the chunk table only the chunk is lost.
        let expected = fixture.tensors(without: [entry]).map(\.descriptor)
        if others.isEmpty { #expect(recovered == expected) }
        #expect(Set(recovered).isSubset(of: expected))
        for descriptor in recovered {
          let tensor = fixture.state.tensors.first { $0.descriptor == descriptor }
          #expect(try result?.reader?.read(descriptor.name) == tensor?.bytes)
        }
      }
    }
  }
}
