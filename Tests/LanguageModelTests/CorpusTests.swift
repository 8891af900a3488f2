import Foundation
import LanguageModel
import Testing

@Suite("Corpus")
struct CorpusTests {
  /// Calls `body` with the path of a directory that holds `files`.
  private func withDirectory(
    _ files: [String: [UInt8]], _ body: (String) throws -> Void
  ) throws {
    let root = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: root) }
    for (name, bytes) in files {
      let file = root.appending(path: name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: file)
    }
    try body(root.path)
  }

  private func text(_ corpus: Corpus) -> String {
    var text = ""
    for token in corpus.tokens { text.unicodeScalars.append(corpus.vocabulary[Int(token)]) }
    return text
  }

  @Test func directoryIsReadInTheOrderOfBytes() throws {
    let files = [
      "b.md": "5", "B.txt": "1", "a/z.md": "3", "a-b.md": "2", "ä.md": "6", "b.swift": "no",
      ".hidden.md": "no", ".build/x.md": "no", "a/b/c.txt": "X",
    ]
    try withDirectory(files.mapValues { Array($0.utf8) }) { path in
      // In bytes: B < a- < a/ < b < ä.
      let corpus = try Corpus(contentsOf: path)
      #expect(text(corpus) == "12X356")
    }
  }

  @Test func fileGivesItsCharacters() throws {
    try withDirectory(["t.txt": Array("höher\n".utf8)]) { path in
      let corpus = try Corpus(contentsOf: path + "/t.txt")
      #expect(text(corpus) == "höher\n")
      #expect(corpus.vocabulary == ["\n", "e", "h", "r", "ö"])
      #expect(corpus.training.count == 5)
    }
  }

  @Test func unusableDataIsNamed() throws {
    try withDirectory(["bad.md": [0x61, 0xff]]) { path in
      #expect(throws: CorpusError.notUTF8(path: path + "/bad.md")) {
        try Corpus(contentsOf: path)
      }
      #expect(throws: CorpusError.unreadable(path: path + "/none")) {
        try Corpus(contentsOf: path + "/none")
      }
    }
    try withDirectory(["x.swift": [0x61]]) { path in
      #expect(throws: CorpusError.noText(path: path)) { try Corpus(contentsOf: path) }
    }
    #expect(throws: CorpusError.tooShort(characterCount: 1, needed: 2)) { try Corpus(text: "a") }
  }

  @Test func entropyIsThatOfTheHeldOutPart() throws {
    // The last tenth holds four letters, equally often.
    let text = String(repeating: "x", count: 360) + String(repeating: "abcd", count: 10)
    let corpus = try Corpus(text: text)
    #expect(corpus.heldOut.count == 40)
    #expect(abs(corpus.unigramEntropy - 1.386_294) < 1e-5)
  }
}
