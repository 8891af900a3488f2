/// Every suite by its name, and how much it tries.
package enum Suites {
  /// One part of a suite that can be run by itself.
  package struct Task: Sendable {
    package var name: String
    package var body: @Sendable (Harness) -> SuiteResult
  }

  /// Everything, in pieces that can be run side by side; what is cheap first.
  package static var all: [Task] {
    var tasks = [
      Task(name: RuleSuite.name) { RuleSuite.run($0) },
      Task(name: DamageSuite.name) { DamageSuite.run($0) },
    ]
    for scenario in Scenario.all {
      tasks.append(Task(name: RepeatSuite.name) { RepeatSuite.run(scenario, $0) })
    }
    // Scenario by scenario: the first ones meet most of what can be wrong.
    for scenario in Scenario.all {
      tasks.append(Task(name: CrashSuite.name) { CrashSuite.run(scenario, $0) })
      tasks.append(Task(name: FailureSuite.name) { FailureSuite.run(scenario, $0) })
      tasks.append(Task(name: CompoundSuite.name) { CompoundSuite.run(scenario, $0) })
    }
    return tasks
  }
}
