import CheckpointEngine
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// T4 and T5: troubles in a row. A killed program that is started again before the power fails, a
// power failure during recovery, a sync that fails and forgets what it should have written.

package enum CompoundSuite {
  package static let name = "compound"

  /// Plays `scenario` with every pair of troubles.
  package static func run(_ scenario: Scenario, _ harness: Harness) -> SuiteResult {
    var result = SuiteResult(name)
    result.expect("\(scenario)") { result in
      let prepared = try PreparedScenario(scenario, harness)
      for trouble in [killedThenCut, cutDuringRecovery, syncThatForgets, forgottenThenKilled] {
        result.add(try trouble(prepared, harness))
        if harness.stopsAtFirst, !result.violations.isEmpty { return }
      }
    }
    return result
  }

  /// A kill leaves the disk as it is: the next program sees what was not synced yet, and the power
  /// fails before any of its calls.
  private static func killedThenCut(
    _ prepared: PreparedScenario, _ harness: Harness
  ) throws -> SuiteResult {
    var result = SuiteResult(name)
    for index in 0...(try prepared.operations().count) {
      let isSound = result.expect("killed before call \(index), then a power cut") { result in
        let killed = try killed(prepared, before: index)
        let player = Player(killed.disk, harness, killed.ledger)
        let count = prepared.scenario.keptCount ?? 4
        for action in [Action.finishRetention(last: count), .save(step: 50)] {
          try player.play([action], isOver: false)
          try result.examine(player, harness, limit: 12)
        }
      }
      result.caseCount += 1
      if harness.stopsAtFirst, !isSound { break }
    }
    return result
  }

  /// A program that was killed: everything it wrote is to be seen, nothing is settled.
  private static func killed(_ prepared: PreparedScenario, before index: Int) throws -> Player {
    let player = prepared.player()
    // From this call on the program gets nothing done; what it held is released with it.
    player.disk.faultPlan = FaultPlan([.init(occurrence: index, .error(EIO), .always)])
    do {
      try player.play(prepared.scenario.actions)
    } catch is CheckpointError {}
    player.end()
    player.disk.faultPlan = FaultPlan()
    return player
  }

  private static func cutDuringRecovery(
    _ prepared: PreparedScenario, _ harness: Harness
  ) throws -> SuiteResult {
    var result = SuiteResult(name)
    for index in stride(from: 0, through: try prepared.operations().count, by: 5) {
      let player = prepared.player()
      player.disk.crash(beforeOperation: index)
      try player.playUntilCrash(prepared.scenario.actions)
      let survivors = player.disk.postCrashStates(limit: 6, seed: harness.seed &+ 7)
      for (number, survivor) in survivors.enumerated() {
        for second in stride(from: number, to: 60, by: 9) {
          let place = "cut before call \(index), state \(number), then before call \(second)"
          let isSound = result.expect(place) { result in
            let next = Player(survivor.copy(), harness, player.ledger)
            next.disk.crash(beforeOperation: second)
            try next.playUntilCrash([.save(step: 60)])
            try result.examine(next, harness, limit: 6)
          }
          result.caseCount += 1
          if harness.stopsAtFirst, !isSound { return result }
        }
      }
    }
    return result
  }

  /// After a failed fsync, Linux forgets the changes and reports the next fsync as a success.
  private static func syncThatForgets(
    _ prepared: PreparedScenario, _ harness: Harness
  ) throws -> SuiteResult {
    var result = SuiteResult(name)
    for index in 0..<12 {
      for (repetition, tries) in [(FaultPlan.Repetition.once, 1), (.once, 3), (.times(2), 3)] {
        let place = "fsync \(index) forgets \(repetition), \(tries) tries"
        let isSound = result.expect(place) { result in
          let fault = FaultPlan.Fault(
            .sync, occurrence: index, .errorLosingChanges(EIO), repetition)
          try playOn(prepared, fault, tries: tries, harness, &result)
        }
        result.caseCount += 1
        if harness.stopsAtFirst, !isSound { return result }
      }
    }
    return result
  }

  /// Plays on after failures, as a run does that is not to die of them.
  private static func playOn(
    _ prepared: PreparedScenario, _ fault: FaultPlan.Fault, tries: Int, _ harness: Harness,
    _ result: inout SuiteResult
  ) throws {
    let player = prepared.player()
    // Once the store is open: nothing short of making another would save a new directory whose
    // first sync failed, and it is not used.
    try player.play([.restart], isOver: false)
    player.disk.faultPlan = FaultPlan([fault])
    player.mayForgetNames = true
    for action in prepared.scenario.actions + [.save(step: 7), .save(step: 8)] {
      player.playTrying(action, times: tries)
      if let violation = player.violation { throw violation }
      try result.examine(player, harness, limit: 10)
    }
  }
}

extension CompoundSuite {
  /// A name that a failed fsync forgot, the death of the process, and a next one that cannot know
  /// of it: the retention that it finishes must not take the last acknowledged checkpoint.
  private static func forgottenThenKilled(
    _ prepared: PreparedScenario, _ harness: Harness
  ) throws -> SuiteResult {
    var result = SuiteResult(name)
    for index in 0..<8 {
      for (repetition, tries) in [(FaultPlan.Repetition.once, 1), (.times(2), 2)] {
        for count in 1...2 {
          let place = "fsync \(index) forgets \(repetition), killed, retention of \(count) owed"
          let isSound = result.expect(place) { result in
            let dead = prepared.player()
            try dead.play([.restart], isOver: false)
            dead.disk.faultPlan = FaultPlan([
              .init(.sync, occurrence: index, .errorLosingChanges(EIO), repetition)
            ])
            for action in prepared.scenario.actions { dead.playTrying(action, times: tries) }
            dead.end()
            dead.disk.faultPlan = FaultPlan()
            let next = Player(dead.disk, harness, dead.ledger)
            next.mayForgetNames = true
            // Of several, those that were not acknowledged count as well: the newest is what is owed.
            next.ledger.retain(last: 1)
            next.playTrying(.finishRetention(last: count), times: 1)
            if let violation = dead.violation ?? next.violation { throw violation }
            try result.examine(next, harness, limit: 12)
          }
          result.caseCount += 1
          if harness.stopsAtFirst, !isSound { return result }
        }
      }
    }
    return result
  }
}

extension SuiteResult {
  /// Opens every state, or `limit` of them, that a power cut now would leave.
  mutating func examine(_ player: Player, _ harness: Harness, limit: Int) throws {
    var invariants = Invariants(harness)
    let states = player.disk.postCrashStates(limit: limit, seed: harness.seed)
    for (number, state) in states.enumerated() {
      stateCount += 1
      do {
        try invariants.require(state, player.ledger)
      } catch {
        throw Violation("\(error)", at: "state \(number)")
      }
    }
  }
}
