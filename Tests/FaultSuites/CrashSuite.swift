import CheckpointEngine
import CheckpointTesting

// T3: the power fails before every call of every scenario, in every state that the disk may be left
// in, or a sample of them.

/// A scenario whose earlier part has been played, to be disturbed again and again.
struct PreparedScenario {
  let scenario: Scenario
  private let harness: Harness
  private let disk: SimulatedDisk
  private let ledger: Ledger

  init(_ scenario: Scenario, _ harness: Harness) throws {
    let player = Player(SimulatedDisk(), harness)
    try player.play(scenario.earlier)
    self.scenario = scenario
    self.harness = harness
    disk = player.disk.copy()
    ledger = player.ledger
  }

  /// A player of the part that is disturbed, on a disk of its own that is as after a reboot.
  func player() -> Player { Player(disk.copy(), harness, ledger) }

  /// The calls of the undisturbed scenario.
  func operations() throws -> [DiskOperation] {
    let player = player()
    try player.play(scenario.actions)
    return player.disk.operations
  }
}

package enum CrashSuite {
  package static let name = "crash"

  /// Cuts the power before each call of `scenario`.
  package static func run(_ scenario: Scenario, _ harness: Harness) -> SuiteResult {
    var result = SuiteResult(name)
    result.expect(scenario.name) { result in
      let prepared = try PreparedScenario(scenario, harness)
      for index in 0...(try prepared.operations().count) {
        let found = cut(prepared, before: index, harness)
        result.add(found)
        if harness.stopsAtFirst, !result.violations.isEmpty { return }
      }
    }
    return result
  }

  private static func cut(
    _ prepared: PreparedScenario, before index: Int, _ harness: Harness
  ) -> SuiteResult {
    var result = SuiteResult(name)
    result.caseCount = 1
    result.expect("power cut before call \(index)") { result in
      let player = prepared.player()
      player.disk.crash(beforeOperation: index)
      try player.playUntilCrash(prepared.scenario.actions)
      try result.examine(player, harness, limit: harness.statesPerCrash)
    }
    return result
  }
}

extension Player {
  /// Plays until the power is off; an error before that is a violation.
  func playUntilCrash(_ actions: [Action]) throws {
    do {
      try play(actions)
      // Only cleaning up was left to do.
      disk.crash()
    } catch let error as CheckpointError {
      if !disk.hasCrashed { throw error }
    }
  }
}
