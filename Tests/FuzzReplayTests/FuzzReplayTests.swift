import Foundation
import FuzzHarness
import Testing

// Goal: what fuzzing once reached or found stays as it is.
// Method: every input of the corpora and every regression file, through the code of the fuzzers.
@Suite struct FuzzReplayTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Fuzz").standardizedFileURL

  /// The inputs of a target by their paths in `Fuzz`.
  private func inputs(_ kind: String, _ target: FuzzTarget) throws -> [String: [UInt8]] {
    let path = "\(kind)/\(target.name)"
    let folder = Self.folder.appending(path: path)
    var inputs: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      inputs["\(path)/\(name)"] = [UInt8](try Data(contentsOf: folder.appending(path: name)))
    }
    return inputs
  }

  private func hasFolder(_ kind: String, _ target: FuzzTarget) throws -> Bool {
    try FileManager.default.contentsOfDirectory(atPath: Self.folder.appending(path: kind).path)
      .contains(target.name)
  }

  private func replay(_ inputs: [String: [UInt8]], _ target: FuzzTarget) {
    for (path, input) in inputs.sorted(by: { $0.key < $1.key }) {
      #expect(throws: Never.self, "\(path)") { try target.replay(input) }
    }
  }

  @Test(arguments: FuzzTarget.all)
  func everyInputOfTheCorpusIsFine(target: FuzzTarget) throws {
    let inputs = try inputs("Corpus", target)
    #expect(inputs.count >= 40, "the corpus of \(target.name) is gone")
    replay(inputs, target)
  }

  @Test func everyRegressionStaysMended() throws {
    var fileCount = 0
    for target in FuzzTarget.all where try hasFolder("Regressions", target) {
      let inputs = try inputs("Regressions", target)
      fileCount += inputs.count
      replay(inputs, target)
    }
    #expect(fileCount >= 3, "the regression files are gone")
  }

  @Test func noInputAndAnyShortOneIsFine() throws {
    for target in FuzzTarget.all {
      try target.replay([])
      for byte in UInt8.min...UInt8.max { try target.replay([byte]) }
    }
  }
}
