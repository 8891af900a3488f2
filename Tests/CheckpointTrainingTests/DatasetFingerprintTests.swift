import CheckpointTesting
import CheckpointTraining
import Foundation
import Testing

// Goal: the fingerprint tells data apart by contents, sizes, order, seed and preparation, and by nothing
// else; a run that resumes is told which of these differ.
@Suite("What the data is")
struct DatasetFingerprintTests {
  private func withFiles(
    _ contents: [[UInt8]], _ body: (_ directory: String, _ paths: [String]) throws -> Void
  ) throws {
    try withTemporaryDirectory { directory in
      let paths = contents.indices.map { directory + "/\($0)" }
      for (path, bytes) in zip(paths, contents) {
        try Data(bytes).write(to: URL(filePath: path))
      }
      try body(directory, paths)
    }
  }

  private func digest(_ contents: [[UInt8]]) throws -> String {
    var digest = ""
    try withFiles(contents) { _, paths in
      digest = try DatasetFingerprint(files: paths).contentDigest
    }
    return digest
  }

  @Test func contentsSizesAndOrderCountAndNamesDoNot() throws {
    let base: [[UInt8]] = [[1, 2, 3], [4, 5]]
    let same = try digest(base)
    #expect(try digest(base) == same)
    for other: [[UInt8]] in [
      [[1, 2, 3], [4, 6]], [[4, 5], [1, 2, 3]], [[1, 2], [3, 4, 5]], [[1, 2, 3, 4, 5]],
      [[1, 2, 3], [4, 5], []], [],
    ] { #expect(try digest(other) != same) }
    // As anybody computes it: `sha256sum` of lines of sizes and digests.
    let line = "3 " + SHA256.hexadecimal(of: [1, 2, 3]) + "\n"
    #expect(try digest([[1, 2, 3]]) == SHA256.hexadecimal(of: Array(line.utf8)))
  }

  @Test func manyAndLargeFilesAreReadByAnyNumberOfThreads() throws {
    let contents = (0..<20).map { [UInt8](repeating: UInt8($0), count: $0 * 150_001) }
    try withFiles(contents) { directory, paths in
      let one = try DatasetFingerprint(files: paths, threads: 1)
      #expect(try DatasetFingerprint(files: paths, threads: 7) == one)
      #expect(one.fileCount == 20 && one.byteCount == 190 * 150_001)
      // Links are followed, as tools that download data make them.
      let link = directory + "/link"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: paths[3])
      var linked = paths
      linked[3] = link
      #expect(try DatasetFingerprint(files: linked) == one)
    }
  }

  @Test func whatCannotBeReadIsNamed() throws {
    try withFiles([[1]]) { directory, paths in
      #expect(unsafe mkfifo(directory + "/pipe", 0o600) == 0)
      for (name, code) in [
        ("/nothing", CheckpointError.Code.notFound), ("", .notRegular), ("/pipe", .notRegular),
      ] {
        let error = try checkpointError {
          _ = try DatasetFingerprint(files: paths + [directory + name])
        }
        #expect(error.code == code && error.message.contains(directory + name))
      }
    }
  }

  @Test func eachDifferenceIsToldAtAResume() throws {
    let disk = SimulatedDisk()
    try withFiles([[1], [2]]) { _, paths in
      func contract(
        _ files: [String], _ seed: UInt64? = 1, _ preprocessing: String = "bytes"
      ) throws -> ResumeContract {
        var contract = ResumeContract()
        contract.state(
          try DatasetFingerprint(files: files, orderSeed: seed, preprocessing: preprocessing))
        return contract
      }
      func differences(_ contract: ResumeContract) throws -> [String] {
        let manager = try disk.copy().manager()
        manager.contract = contract
        let preview = try manager.previewResume(of: ToyTrainer(), from: .latest)
        return preview.differences.filter { $0.grade == .changesTrajectory }.map(\.name)
      }
      do {
        let manager = try disk.manager()
        manager.contract = try contract(paths)
        try manager.saved(ToyTrainer(), step: 1)
      }
      #expect(try differences(contract(paths)).isEmpty)
      #expect(try differences(contract(paths.reversed())) == ["data/content"])
      #expect(try differences(contract([paths[0]])) == ["data/content", "data/files"])
      #expect(try differences(contract(paths, nil)) == ["data/order_seed"])
      #expect(try differences(contract(paths, 1, "words")) == ["data/preprocessing"])
    }
  }
}
