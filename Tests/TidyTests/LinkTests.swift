import Foundation
import Testing

@Suite("Links between pages")
struct LinkTests {
  /// The pages of the repository, without those that a build or a run put there.
  private func pages() throws -> [URL] {
    let files = FileManager.default
    let top = try files.contentsOfDirectory(at: SourceTree.root, includingPropertiesForKeys: nil)
    let folders = ["docs", "Benchmarks", "Tests/Fixtures"].map {
      SourceTree.root.appending(path: $0)
    }
    let below = folders.flatMap { folder in
      (files.enumerator(atPath: folder.path)?.allObjects as? [String] ?? [])
        .filter { !$0.contains(".build") }.map { folder.appending(path: $0) }
    }
    return (top + below).filter { $0.pathExtension == "md" }
  }

  @Test func everyLinkLeadsToAFile() throws {
    var linkCount = 0
    for page in try pages() {
      let text = try String(contentsOf: page, encoding: .utf8)
      for match in text.matches(of: /\]\(([^)#:]+)(#[^)]*)?\)/) {
        linkCount += 1
        let target = page.deletingLastPathComponent().appending(path: String(match.1))
        #expect(
          FileManager.default.fileExists(atPath: target.path),
          "\(page.lastPathComponent) links to \(match.1)")
      }
    }
    #expect(linkCount >= 10)
  }
}
