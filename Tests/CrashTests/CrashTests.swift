import FaultSuites
import Foundation
import Testing

// Goal: whatever a disk does and whenever the power fails, the newest acknowledged checkpoint is
// there, no broken file has a checkpoint's name, and work goes on.
// Method: the suites of FaultSuites, whole. `fault-suites soak` goes on with fresh seeds, and
// `fault-suites mutate` shows that each protection is needed.
//
// Fault model, as in docs/crash-safety.md: contents survive only if synced; a name may or may not
// survive until the directory is synced; a name that survives without its contents is a torn file.
@Suite("Fault suites")
struct CrashTests {
  private func require(_ result: SuiteResult, _ what: String) {
    print("\(result.name), \(what): \(result.caseCount) cases, \(result.stateCount) states")
    #expect(result.caseCount > 0)
    for violation in result.violations { Issue.record("\(violation)") }
  }

  @Test(arguments: Scenario.all)
  func powerLossAtAnyCallLosesNothingAcknowledged(scenario: Scenario) {
    require(CrashSuite.run(scenario, Harness()), scenario.name)
  }

  @Test(arguments: Scenario.all)
  func troublesInARowLoseNothingAcknowledged(scenario: Scenario) {
    require(CompoundSuite.run(scenario, Harness()), scenario.name)
  }

  @Test(arguments: Scenario.all)
  func everyCallFailingInEveryWayIsSaidAndCostsNothingElse(scenario: Scenario) {
    require(FailureSuite.run(scenario, Harness()), scenario.name)
  }

  @Test(arguments: Scenario.all)
  func theSameActionsMakeTheSameCallsAndBytes(scenario: Scenario) {
    require(RepeatSuite.run(scenario, Harness()), scenario.name)
  }

  @Test func theRulesHold() { require(RuleSuite.run(Harness()), "all") }

  @Test func noByteIsInert() { require(DamageSuite.run(Harness()), "all") }

  @Test(arguments: 0..<20) func randomLivesLoseNothingAcknowledged(seed: Int) {
    require(Soak.run(seed: UInt64(seed)), "seed \(seed)")
  }

  /// A suite that finds nothing wrong with a writer without fsync would be blind.
  @Test(arguments: NaiveWriter.Habit.allCases)
  func writersWithoutFsyncLoseCheckpoints(habit: NaiveWriter.Habit) throws {
    let losses = try NaiveWriter.run(habit, Harness())
    print(
      "\(habit.sentence): lost in \(losses.lostCount), torn in \(losses.tornCount) of "
        + "\(losses.stateCount) states")
    #expect(losses.lostCount > 0)
    #expect((losses.tornCount > 0) == (habit != .fileSync))
  }

  @Test(arguments: StorageLie.allCases)
  func aDroppedCallOrALieIsNoticed(lie: StorageLie) throws {
    let mutation = try #require(Mutation.all.first { $0.name == lie.rawValue })
    let killer = try #require(mutation.killer(), "\(lie.sentence), and no suite notices")
    print("\(lie.rawValue) is noticed by \(killer.suite)")
  }

  /// Mistakes on request have no place in what users build.
  @Test func aPlainBuildHoldsNoMutants() throws {
    #expect(!Mutation.holdsMutants)
    #expect(Mutation.all.count == StorageLie.allCases.count)
    // Put together, so that this program does not hold what it looks for.
    let symbol = Data(["17CheckpointMutants", "6Mutant"].joined().utf8)
    let program = try Data(contentsOf: URL(filePath: "/proc/self/exe"))
    #expect(program.range(of: Data("CheckpointEngine".utf8)) != nil)
    #expect(program.range(of: symbol) == nil)
  }
}
