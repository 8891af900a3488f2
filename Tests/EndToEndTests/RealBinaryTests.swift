import Foundation
import Testing

// Goal: the real programs, killed at every system call of a save, with every call failing, under
// limits and at random moments, keep the promise.
// Method: the short forms of the suites in Tests/RealBinary, whose README says what they do.

@Suite("The real programs", .serialized)
struct RealBinaryTests {
  /// Whether this machine lets strace(1) look at a child.
  private static let canTrace =
    (try? TrainingProgram.runPath("/usr/bin/strace", ["-o", "/dev/null", "/bin/true"]))?.status == 0

  /// Runs one of the suites, which prints what it found.
  private func requireNoViolation(
    of suite: String, _ arguments: [String] = [], expecting part: String
  ) throws {
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "RealBinary/" + suite).path
    let programs = URL(filePath: try TrainingProgram.executable("train-lm"))
      .deletingLastPathComponent().path
    // -B: no compiled copies beside the sources.
    let result = try TrainingProgram.runPath(
      "/usr/bin/env", ["python3", "-B", script, "--bin", programs] + arguments, timeout: 300)
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    // Success without a case would be none.
    #expect(result.output.contains(part), "\(result.output)")
    for line in result.output.split(separator: "\n") where line.hasPrefix("SKIPPED") {
      print("\(suite): \(line)")
    }
  }

  @Test(.enabled(if: canTrace, "needs strace, which .ci/install installs, and the right to trace"))
  func aSaveMakesItsCallsInTheOrderOfTheProtocol() throws {
    try requireNoViolation(of: "golden_order.py", expecting: "save, retention to one")
  }

  @Test(.enabled(if: canTrace, "needs strace, which .ci/install installs, and the right to trace"))
  func killedOrRefusedAtAnyCallOfASaveTheProgramLosesNothing() throws {
    try requireNoViolation(of: "syscall_sweep.py", ["--short"], expecting: " 0 not reached")
  }

  @Test func atAnyLimitAndInAnyPlaceASaveSucceedsOrSaysWhyNot() throws {
    try requireNoViolation(of: "resource_sweep.py", ["--short"], expecting: " 0 violations")
  }

  @Test func killedAtRandomMomentsUnderLoadARunEndsWithTheBitsOfAnUninterruptedOne() throws {
    try requireNoViolation(
      of: "kill_soak.py", ["--kills", "30", "--minutes", "2", "--load", "1"],
      expecting: " 0 violations")
  }
}
