import CheckpointEngine
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: troubles in a row lose nothing either: a killed program that is started again before the
// power fails, a power failure during recovery, a sync that fails and forgets.
@Suite struct CompoundCrashTests {
  /// A kill leaves the disk as it is: the next program sees what was not synced yet.
  @Test(arguments: CrashScenario.all)
  func powerLossAfterAKillAndARestartLosesNothingAcknowledged(scenario: CrashScenario) throws {
    var stateCount = 0
    defer { print("\(scenario.testDescription): \(stateCount) compound states") }
    for index in 0...(try scenario.operationCount()) {
      var (disk, ledger) = try scenario.prepared()
      // From this call on the program gets nothing done, and its descriptors are closed.
      disk.faultPlan = FaultPlan([.init(occurrence: index, .error(EIO), .always)])
      do {
        try scenario.play(on: disk, &ledger)
      } catch is CheckpointError {}
      disk.faultPlan = FaultPlan()
      ledger.acknowledged = try scenario.resumeAndSave(disk, step: 50)
      ledger.attempted[ledger.acknowledged] = 50
      for (number, survivor) in disk.postCrashStates(limit: 40).enumerated() {
        stateCount += 1
        do {
          try scenario.check(survivor, ledger)
        } catch {
          Issue.record("killed before call \(index), state \(number): \(error)")
          return
        }
      }
    }
  }

  @Test(arguments: CrashScenario.all)
  func powerLossDuringRecoveryLosesNothingAcknowledged(scenario: CrashScenario) throws {
    var stateCount = 0
    defer { print("\(scenario.testDescription): \(stateCount) compound states") }
    for index in stride(from: 0, through: try scenario.operationCount(), by: 3) {
      let (disk, ledger) = try scenario.crash(beforeOperation: index)
      for (number, survivor) in disk.postCrashStates(limit: 6, seed: 7).enumerated() {
        for second in stride(from: number, to: 60, by: 7) {
          let again = survivor.copy()
          again.crash(beforeOperation: second)
          var ledger = ledger
          // What the second program tries is either finished or not to be seen.
          ledger.attempted[(ledger.attempted.keys.max() ?? 0) + 1] = 60
          let spent = try scenario.spentGeneration(again)
          ledger.attempted[spent + 1] = 60
          do {
            ledger.acknowledged = try scenario.resumeAndSave(again, step: 60)
          } catch let error as CheckpointError {
            try #require(again.hasCrashed, "\(error)")
          }
          again.crash()
          for (third, state) in again.postCrashStates(limit: 8, seed: 8).enumerated() {
            stateCount += 1
            do {
              try scenario.check(state, ledger)
            } catch {
              Issue.record(
                "before call \(index), state \(number), then \(second), state \(third): \(error)")
              return
            }
          }
        }
      }
    }
  }

  /// After a failed fsync, Linux forgets the changes and reports the next fsync as a success.
  @Test(arguments: CrashScenario.all)
  func aSyncThatFailsAndForgetsIsNeverTrusted(scenario: CrashScenario) throws {
    var stateCount = 0
    defer { print("\(scenario.testDescription): \(stateCount) compound states") }
    var kept = scenario
    kept.steps += [7, 8]
    for index in 0..<16 {
      for repetition in [FaultPlan.Repetition.once, .times(2)] {
        var (disk, ledger) = try kept.prepared()
        let fault = FaultPlan.Fault(
          .sync, occurrence: index, .errorLosingChanges(EIO), repetition)
        try kept.playWithRetries(on: disk, fault, &ledger)
        disk.crash()
        for (number, survivor) in disk.postCrashStates(limit: 60).enumerated() {
          stateCount += 1
          do {
            try kept.check(survivor, ledger)
          } catch {
            Issue.record("sync \(index) \(repetition), state \(number): \(error)")
            return
          }
        }
      }
    }
  }
}

extension CrashScenario {
  /// The highest generation that a writer would count on this disk.
  func spentGeneration(_ disk: SimulatedDisk) throws -> UInt64 {
    let names = disk.names(inDirectoryAt: path) ?? []
    return names.compactMap { CheckpointName($0)?.generation }.max() ?? 0
  }

  /// The part that is cut short, by a program that tries everything three times.
  ///
  /// The fault is there once the store is open: a new directory whose first sync failed is not
  /// used, but nothing short of making another would save it.
  func playWithRetries(
    on disk: SimulatedDisk, _ fault: FaultPlan.Fault, _ ledger: inout Ledger
  ) throws {
    func trying<Result>(_ body: () throws -> Result) throws -> Result {
      for _ in 0..<2 {
        do { return try body() } catch is CheckpointError {}
      }
      return try body()
    }
    let store = try open(disk)
    disk.faultPlan = FaultPlan([fault])
    if let recovery = try trying({ try store.recover() }) {
      store.continueRun(from: recovery.reader, choice: .automatic)
    }
    for step in steps {
      ledger.acknowledged = try trying {
        ledger.attempted[(ledger.attempted.keys.max() ?? 0) + 1] = step
        return try store.save(step: step).generation
      }
      if let keptCount { _ = store.retain(last: keptCount) }
    }
  }
}
