import CheckpointEngine
import CheckpointFormat
import Foundation
import FuzzHarness
import Testing

// Goal: the file that is damaged in every way has everything that can be damaged.
// Method: the table of constants of docs/format.md, which another test compares with the code, says
// what there is; a codec, section, dtype or type of value that comes to it is missed here until the
// reference file has one.
@Suite struct ReferenceFileTests {
  private func index(_ version: FormatVersion) throws -> FileIndex {
    try FileInMemory(ReferenceFile.bytes(version)).open().index
  }

  /// The values of the documented constants whose names begin with `type`.
  private func documented(_ type: String) throws -> Set<UInt64> {
    let document = try String(contentsOfFile: repositoryPath("docs/format.md"), encoding: .utf8)
    let values = document.split(separator: "\n").compactMap { line -> UInt64? in
      guard line.hasPrefix("| `\(type).") else { return nil }
      let digits = line.split(separator: "|")[1].trimmingCharacters(in: .whitespaces)
      return digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
    }
    try #require(values.count >= 2, "\(type)")
    return Set(values)
  }

  @Test func togetherTheyHoldEveryCodecInTheDocument() throws {
    let codecs = try FormatVersion.allCases.flatMap { try index($0).chunks.entries.map(\.codec) }
    #expect(try documented("CodecIdentifier") == Set(codecs.map { UInt64($0.rawValue) }))
    #expect(
      try documented("FormatVersion") == Set(FormatVersion.allCases.map { UInt64($0.rawValue) }))
  }

  @Test(arguments: FormatVersion.allCases)
  func itHoldsEveryKindOfRecordInTheDocument(version: FormatVersion) throws {
    let index = try index(version)
    let tensors = index.tensors.entries
    #expect(Set(index.chunks.entries.map(\.codec)) == [.stored, version.codec])
    #expect(
      try documented("DType") == Set(tensors.map { UInt64($0.descriptor.dtype.rawValue) }))
    #expect(
      try documented("SectionKind")
        .isStrictSubset(of: index.trailer.sections.map { UInt64($0.kind.rawValue) }))
    let values = index.metadata.values
    #expect(try documented("Domain") == Set(values.keys.map { UInt64($0.domain.rawValue) }))
    #expect(try documented("MetadataValue") == Set(values.values.map { UInt64($0.code) }))
    #expect(index.header.readFeatures == .known)
  }

  @Test(arguments: FormatVersion.allCases)
  func itHoldsEveryFormOfTensorAndChunk(version: FormatVersion) throws {
    let index = try index(version)
    let tensors = index.tensors.entries
    #expect(tensors.contains { $0.descriptor.shape.isEmpty })
    #expect(tensors.contains { $0.byteCount == 0 })
    #expect(tensors.contains { $0.aliasOf != nil && $0.byteCount > 0 })
    #expect(tensors.contains { $0.aliasOf != nil && $0.byteCount == 0 })
    // The names are not in the order of saving.
    #expect(index.nameOrder.order != Array(0..<UInt32(tensors.count)))
    for codec in [CodecIdentifier.stored, version.codec] {
      let chunks = index.chunks.entries.filter { $0.codec == codec }
      #expect(chunks.contains { $0.chunk > 0 })
      #expect(chunks.contains { Int($0.rawByteCount) == ReferenceFile.chunkByteCount })
      #expect(chunks.contains { Int($0.rawByteCount) < ReferenceFile.chunkByteCount })
    }
  }

  @Test func itHoldsEveryFormOfDeflateStream() throws {
    // The first block of a DEFLATE stream has fixed codes (1) or its own (2).
    let bytes = try ReferenceFile.bytes(.v1)
    let blocks = try index(.v1).chunks.entries.filter { $0.codec == .deflate }.map {
      bytes[Int($0.storedOffset)] >> 1 & 3
    }
    #expect(Set(blocks) == [1, 2])
  }

  @Test func itHoldsEveryFormOfPlane() throws {
    let bytes = try ReferenceFile.bytes(.v2)
    let heads = try index(.v2).chunks.entries.filter { $0.codec == .planes }.map {
      Array(bytes[Int($0.storedOffset)..<Int($0.storedOffset + UInt64($0.storedByteCount))])
    }
    let planes = heads.flatMap { head in
      (0..<Int(head[0])).map { Array(head[4 + 4 * $0..<6 + 4 * $0]) }
    }
    #expect(Set(heads.map { $0[0] }) == [1, 2])
    #expect(Set(planes) == [[0, 0], [1, 0], [2, 1], [2, 2]])
  }

  @Test(arguments: FormatVersion.allCases)
  func itHoldsLineageFeaturesUnknownSectionsAndAllPadding(version: FormatVersion) throws {
    let index = try index(version)
    let header = index.header
    #expect(header.branchPoints.count == 2)
    #expect(header.parentIdentifier != nil && header.supersededGeneration > 0)
    #expect(!header.writer.isEmpty)
    #expect(!header.preserveFeatures.isEmpty)
    let sections = index.trailer.sections
    let unknown = sections.filter { !SectionKind.required.contains($0.kind) }
    #expect(unknown.contains { $0.byteCount > 0 } && unknown.contains { $0.byteCount == 0 })
    #expect(unknown.allSatisfy { $0.flags != 0 })
    // Zeros behind the front table, a chunk, a section, and before the trailer.
    let table = FrontTable.headByteCount + index.tensors.encoded.count
    #expect(Layout.frontTableOffset + UInt64(table) < index.chunkRegion.lowerBound)
    #expect(
      index.chunks.entries.contains { $0.storedOffset + UInt64($0.storedByteCount) < $0.endOffset })
    #expect(zip(sections, sections.dropFirst()).contains { $0.endOffset < $1.offset })
    let end = sections[sections.count - 1].endOffset
    #expect(end < index.trailer.fileByteCount - UInt64(Trailer.byteCount))
  }

  @Test(arguments: FormatVersion.allCases)
  func itIsIntactAndHoldsItsState(version: FormatVersion) throws {
    let bytes = try ReferenceFile.bytes(version)
    let reader = try FileInMemory(bytes).open()
    try reader.requireHolds(ReferenceFile.state())
    #expect(reader.header.formatVersion == version)
    #expect(bytes.count <= 16_384)
  }
}
