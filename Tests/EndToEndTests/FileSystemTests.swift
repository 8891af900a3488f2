import CheckpointEngine
import Foundation
import Testing

// Goal: ext4, XFS, btrfs and tmpfs keep what crash-safety.md assumes of them, and a store that they
// cut off or refuse loses nothing.
// Method: the short form of Tests/FileSystems, whose README says what each instrument does; the
// full form is a command of its own.

@Suite("Real file systems", .serialized)
struct FileSystemTests {
  /// The part of Tests/FileSystems/power_cut.py that a test runs.
  enum Instrument: String {
    case blocks, shutdown, thin, quota, inodes, sizes, limits

    /// Whether the rights and tools it needs are here; says what is missing, if not.
    var isAvailable: Bool {
      guard let result = try? run(["--probe"]) else { return false }
      if result.status != 0 { print(result.output + result.errors, terminator: "") }
      return result.status == 0
    }

    func run(_ more: [String]) throws -> TrainingProgram.Result {
      let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "FileSystems/power_cut.py").path
      return try TrainingProgram.runPath(
        "/usr/bin/env",
        [
          "python3", "-B", script, "--short", "--only", rawValue, "--driver",
          TrainingProgram.executable("store-driver"), "--keep-cases",
          NSTemporaryDirectory() + "/power-cut-cases",
        ] + more, timeout: 600)
    }

    func requireNoViolation() throws {
      let result = try run([])
      print(result.output, terminator: "")
      #expect(result.status == 0, "\(result.output)\(result.errors)")
    }
  }

  @Test(.enabled(if: Instrument.blocks.isAvailable, "needs loop devices, FUSE, gcc, xfsprogs"))
  func everyPrefixOfTheBlockWritesKeepsWhatWasAcknowledged() throws {
    try Instrument.blocks.requireNoViolation()
  }

  @Test(.enabled(if: Instrument.shutdown.isAvailable, "needs loop devices, xfsprogs"))
  func aFileSystemThatIsShutDownKeepsWhatWasAcknowledged() throws {
    try Instrument.shutdown.requireNoViolation()
  }

  @Test(.enabled(if: Instrument.thin.isAvailable, "needs loop devices"))
  func writeBackThatFailsIsNeverTakenForASave() throws {
    try Instrument.thin.requireNoViolation()
  }

  @Test(.enabled(if: Instrument.quota.isAvailable, "needs loop devices, btrfs-progs"))
  func aQuotaThatIsUsedUpCostsTheSaveAndNothingElse() throws {
    try Instrument.quota.requireNoViolation()
  }

  @Test(.enabled(if: Instrument.inodes.isAvailable, "needs loop devices"))
  func inodesThatRunOutCostTheSaveAndNothingElse() throws {
    try Instrument.inodes.requireNoViolation()
  }

  @Test(.enabled(if: Instrument.sizes.isAvailable, "needs the right to mount a tmpfs"))
  func onATmpfsExactlyWhatFitsIsSaved() throws {
    try Instrument.sizes.requireNoViolation()
  }

  @Test(.enabled(if: Instrument.limits.isAvailable, "needs the right to mount a tmpfs"))
  func limitsOfTheProcessCostTheSaveAndNothingElse() throws {
    try Instrument.limits.requireNoViolation()
  }
}
