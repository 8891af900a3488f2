import CheckpointFormat
import Foundation
import FuzzHarness
import Testing

/// The document and the code describe the same bytes.
///
/// The hex in the document was made by another program, written from the document alone.
@Suite("Test vectors of docs/format.md")
struct FormatDocumentTests {
  private static let document = try? String(
    contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../docs/format.md"), encoding: .utf8)

  /// The lines of the code block between two marker comments.
  private func block(_ name: String) throws -> [Substring] {
    let text = try #require(Self.document)
    let start = try #require(text.range(of: "<!-- \(name):begin -->"))
    let end = try #require(text.range(of: "<!-- \(name):end -->"))
    return text[start.upperBound..<end.lowerBound].split(separator: "\n").filter {
      !$0.hasPrefix("```")
    }
  }

  /// The bytes at the start of a line: pairs of digits, one space apart.
  private func hexadecimalBytes(_ line: Substring) -> [UInt8] {
    let columns = line.prefix(47).split(separator: " ", omittingEmptySubsequences: false)
    return columns.prefix { $0.count == 2 }.compactMap { UInt8($0, radix: 16) }
  }

  /// The bytes a vector stands for, checked against the length and checksum it claims.
  private func vector(_ name: String) throws -> [UInt8] {
    let lines = try block("vector:\(name)")
    let head = try #require(lines.first).split(separator: " ")
    let byteCount = try #require(Int(head[1].dropLast()))
    var bytes = [UInt8](repeating: 0, count: byteCount)
    var previousEnd = 0
    for line in lines.dropFirst() {
      let offset = try #require(Int(line.prefix(8), radix: 16))
      let field = hexadecimalBytes(line.dropFirst(10))
      try #require(!field.isEmpty && offset >= previousEnd && offset + field.count <= byteCount)
      bytes.overwrite(at: offset, with: field)
      previousEnd = offset + field.count
    }
    #expect(hexadecimal(CRC32.checksum(bytes.rawSpan)) == head[3])
    return bytes
  }

  private func expectSame(_ documented: [UInt8], _ written: [UInt8]) {
    let difference = documented.rawSpan.firstDifference(from: written.rawSpan)
    #expect(difference == nil, "the first difference is at this offset")
  }

  @Test func fileStartIsAsDocumented() throws {
    let file = try SampleFile.tiny(.v1)
    expectSame(try vector("start"), Array(file.bytes[..<FileStart.byteCount]))
  }

  @Test func emptyFileIsAsDocumented() throws {
    expectSame(try vector("empty"), try SampleFile.empty(.v1).bytes)
  }

  @Test(arguments: [("tiny", .v1), ("tiny2", .v2)] as [(String, FormatVersion)])
  func tinyFileIsAsDocumented(name: String, version: FormatVersion) throws {
    expectSame(try vector(name), try SampleFile.tiny(version).bytes)
  }

  @Test(arguments: [("tiny", .v1), ("tiny2", .v2)] as [(String, FormatVersion)])
  func documentedFileDecodesToTheSample(name: String, version: FormatVersion) throws {
    let bytes = try vector(name)
    let sample = try SampleFile.tiny(version)
    let header = try CheckpointHeader(decoding: bytes.rawSpan, limits: .default)
    #expect(header == sample.header)
    let trailer = try Trailer(
      decoding: bytes.rawSpan.extracting(droppingFirst: bytes.count - Trailer.byteCount),
      fileByteCount: UInt64(bytes.count), version: version, limits: .default)
    #expect(trailer == sample.trailer)
    func content(_ kind: SectionKind) -> [UInt8] {
      let section = trailer.section(kind)
      let content = Array(bytes[Int(section.offset)..<Int(section.endOffset)])
      #expect(version.checksum(content.rawSpan) == section.checksum)
      return content
    }
    let tensors = try TensorTable(
      decoding: content(.tensorTable).rawSpan, at: 0,
      grid: ChunkGrid(chunkByteCount: header.chunkByteCount), limits: .default)
    #expect(tensors == sample.tensors)
    let region = try trailer.chunkRegion(
      frontTableByteCount: trailer.section(.tensorTable).byteCount)
    let chunks = try ChunkTable(
      decoding: content(.chunkTable).rawSpan, at: 0, of: tensors, filling: region,
      version: version)
    #expect(chunks == sample.chunks)
    let metadata = try Metadata(
      decoding: content(.metadata).rawSpan, at: 0, limits: .default)
    #expect(metadata == sample.metadata)
    for entry in chunks.entries {
      let stored = bytes.rawSpan.extracting(
        Int(entry.storedOffset)..<Int(entry.storedOffset) + Int(entry.storedByteCount))
      let checksum = entry.identity(in: header).checksum(of: stored)
      #expect(checksum == entry.storedChecksum)
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func exampleOfAnIdentityHashesToItsChecksum(version: FormatVersion) throws {
    let lines = try block("identity")
    let hashed = lines.dropLast(2).flatMap(hexadecimalBytes)
    let line = lines[lines.count - (version == .v1 ? 2 : 1)]
    let checksum = try #require(line.split(separator: " ").last)
    #expect(hashed.count == 60)
    #expect(hexadecimal(version.checksum(hashed.rawSpan)) == checksum)
    let header = CheckpointHeader.blank(
      saveIdentifier: identifier(from: 0x10), formatVersion: version)
    let identity = ChunkIdentity(in: header, tensor: 1, chunk: 1, rawByteCount: 32)
    let content = Array(hashed[28...])
    #expect(hexadecimal(identity.checksum(of: content.rawSpan)) == checksum)
  }
}
