import Foundation
import Testing

// Goal: what docs/features.md claims is shown by a test that is there.
@Suite("The table of features")
struct FeatureTableTests {
  /// A link to a test: its name, and the file.
  private var link: Regex<(Substring, Substring, Substring)> {
    /\[`(\w+)`\]\(\.\.\/(Tests\/[\w+\/]+\.swift)\)/
  }

  /// The cells of each row that has a test to show.
  private func rows() throws -> [[Substring]] {
    let text = try SourceTree.file("docs/features.md").text
    return text.split(separator: "\n").filter { $0.hasPrefix("| ") }
      .map { $0.split(separator: "|").map { $0.trimmingPrefix(" ") } }
  }

  @Test func eachYesIsLinkedToATestThatIsThere() throws {
    var claimCount = 0
    for row in try rows() {
      let isClaim = row.count == 2 ? !row[0].hasPrefix("feature") : row[2].hasPrefix("yes")
      guard isClaim else { continue }
      claimCount += 1
      let match = try #require(
        row[row.count - 1].firstMatch(of: link), "\(row)")
      let file = try SourceTree.file(String(match.2))
      let isTest = file.text.contains("@Test") && file.text.contains("func \(match.1)(")
      #expect(isTest, "\(match.1) is no test of \(match.2)")
    }
    // 47 rows of the survey's sections A, B, D and E, and what is listed besides.
    #expect(claimCount >= 47)
  }

  @Test func everyRowOfTheSurveyIsThere() throws {
    let numbers = try rows().compactMap { Int($0[0].trimmingCharacters(in: .whitespaces)) }
    #expect(numbers == Array(1...23) + Array(40...63))
  }
}
