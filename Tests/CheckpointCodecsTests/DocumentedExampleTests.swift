import CheckpointCodecs
import CheckpointFormat
import Foundation
import Testing

/// The examples of docs/format.md, section 7.4, decode to what the text says.
@Suite("Examples of planes in docs/format.md")
struct DocumentedExampleTests {
  private func block(_ name: String) throws -> [UInt8] {
    let path = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/format.md")
    let text = try String(contentsOf: path, encoding: .utf8)
    let start = try #require(text.range(of: "<!-- \(name):begin -->"))
    let end = try #require(text.range(of: "<!-- \(name):end -->"))
    return text[start.upperBound..<end.lowerBound].split(whereSeparator: \.isWhitespace)
      .compactMap { UInt8($0, radix: 16) }
  }

  private func decoded(_ stored: [UInt8], byteCount: Int) throws -> [UInt8] {
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
    defer { unsafe output.deallocate() }
    // SAFETY: the buffer lives until the end of this call.
    unsafe try ChunkDecoder().decode(stored.rawSpan, codec: .planes, into: output)
    return unsafe [UInt8](output)
  }

  @Test func rotatedFloatsDecode() throws {
    let stored = try block("planes")
    #expect(stored.count == 25)
    #expect(try decoded(stored, byteCount: 8) == [0, 0, 0x80, 0x3F, 0, 0, 0x80, 0xBF])
  }

  @Test func piecesInStreamsDecode() throws {
    #expect(try decoded(block("streams"), byteCount: 7) == Array("aaaaaab".utf8))
    #expect(throws: DecodingError.self) { try decoded(block("streams"), byteCount: 8) }
  }
}
