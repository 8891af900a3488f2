import CheckpointEngine
import CheckpointTesting
import Testing

// Goal: whenever the power fails, the newest acknowledged checkpoint is there, no broken file has a
// checkpoint's name, and work goes on.
// Method: a first run counts the system calls of a scenario; then it is played once for each call,
// cut short before it, and every state that the disk may be in is opened.
//
// Fault model, as in docs/crash-safety.md: contents survive only if synced; a name may or may not
// survive until the directory is synced; a name that survives without its contents is a torn file.
@Suite struct CrashTests {
  /// States tried at each call.
  static let stateCountMax = 1000

  @Test(arguments: CrashScenario.all)
  func powerLossAtAnyCallLosesNothingAcknowledged(scenario: CrashScenario) throws {
    let operationCount = try scenario.operationCount()
    var stateCount = 0
    for index in 0...operationCount {
      let (disk, ledger) = try scenario.crash(beforeOperation: index)
      for (number, survivor) in disk.postCrashStates(limit: Self.stateCountMax).enumerated() {
        stateCount += 1
        do {
          try scenario.check(survivor, ledger)
        } catch {
          // `number` finds the state again: the same calls, limit and seed give the same disks.
          Issue.record("before call \(index), state \(number): \(error)")
          return
        }
      }
    }
    print("\(scenario.testDescription): \(stateCount) states at \(operationCount + 1) calls")
  }
}
