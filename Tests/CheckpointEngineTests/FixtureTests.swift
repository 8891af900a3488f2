import CheckpointEngine
import CheckpointFormat
import CheckpointTraining
import Foundation
import FuzzHarness
import Testing

// Goal: what an earlier build wrote is read as it was meant.
// Method: committed files and their manifest, which are only written when somebody asks for it.
@Suite struct FixtureTests {
  private static func folder(_ version: FormatVersion) -> String {
    repositoryPath("Tests/Fixtures/v\(version.rawValue)")
  }

  private func manifest(_ version: FormatVersion) throws -> FixtureManifest {
    let path = Self.folder(version) + "/manifest.json"
    return try JSONDecoder().decode(
      FixtureManifest.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }

  @Test(arguments: [(.v1, 8), (.v2, 9)] as [(FormatVersion, Int)])
  func everyFixtureDecodesToWhatItsManifestSays(version: FormatVersion, count: Int) throws {
    let manifest = try manifest(version)
    #expect(manifest.files.count == count)
    for expected in manifest.files {
      let path = Self.folder(version) + "/" + expected.name
      for threads in [1, 3] {
        let reader = try CheckpointReader.open(path: path, threads: threads)
        #expect(reader.header.formatVersion == version)
        let findings = reader.verify(.full).findings
        #expect(findings.isEmpty, "\(expected.name): \(findings)")
        let found = try FixtureManifest.File(expected.name, bytes(ofFileAt: path), reader)
        #expect(found == expected)
      }
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func theFilesAndTheListAgree(version: FormatVersion) throws {
    let folder = Self.folder(version)
    let listed = try String(contentsOfFile: folder + "/SHA256SUMS", encoding: .utf8)
      .split(separator: "\n").map(String.init)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    let computed = try names.filter { $0.hasSuffix(".ckpt") }.map {
      SHA256.hexadecimal(of: try bytes(ofFileAt: folder + "/" + $0)) + "  " + $0
    }
    #expect(listed == computed)
    let others =
      ["README.md", "SHA256SUMS", "manifest.json"] + (version == .v1 ? ["train-lm-0.1.0"] : [])
    let expected = try manifest(version).files.map(\.name) + others
    #expect(Set(names) == Set(expected))
  }

  @Test(arguments: FormatVersion.allCases)
  func theSmallestFixtureIsAsShortAsAFileCanBe(version: FormatVersion) throws {
    let smallest = try bytes(ofFileAt: Self.folder(version) + "/smallest.ckpt")
    #expect(smallest.count == 8192)
    let reader = try FileInMemory(smallest).open()
    try reader.requireHolds(FixtureStates.smallest)
    #expect(Set(reader.index.chunks.entries.map(\.codec)) == [.stored, version.codec])
  }

  /// Writes the fixtures anew, in the named folder and never over those that are committed.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["CHECKPOINT_FIXTURES_TO"] != nil))
  func fixturesAreWrittenWhenAskedFor() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["CHECKPOINT_FIXTURES_TO"])
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    var manifest = FixtureManifest(files: [])
    for (name, bytes) in try FixtureStates.files() {
      let path = folder + "/" + name
      try Data(bytes).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
      manifest.files.append(
        try FixtureManifest.File(name, bytes, FileInMemory(bytes).open()))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(manifest).write(
      to: URL(fileURLWithPath: folder + "/manifest.json"), options: .withoutOverwriting)
    let sums = manifest.files.sorted { $0.name < $1.name }
      .map { $0.sha256 + "  " + $0.name + "\n" }.joined()
    try Data(sums.utf8).write(
      to: URL(fileURLWithPath: folder + "/SHA256SUMS"), options: .withoutOverwriting)
  }
}
