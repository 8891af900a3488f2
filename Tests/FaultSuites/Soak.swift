import CheckpointEngine
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// T3 and T4 with fresh seeds: random actions, a random fault, a power cut at a random call, every
// state of a sample, and then the same again on one of the survivors.

package enum Soak {
  package static let name = "soak"
  private static let statesPerCrash = 48

  /// Plays what `seed` decides; the same seed plays the same.
  package static func run(seed: UInt64) -> SuiteResult {
    var result = SuiteResult(name)
    result.expect("seed \(seed)") { result in
      var generator = SoakGenerator(seed: seed)
      let harness = Harness(statesPerCrash: statesPerCrash, seed: seed)
      var disk = SimulatedDisk(seed: seed)
      var ledger = Ledger()
      for life in 0..<Int.random(in: 2...4, using: &generator) {
        try live(&disk, &ledger, harness, &generator, life, &result)
      }
    }
    return result
  }

  /// One life of the machine, from its start to its power cut; goes on from one of the survivors.
  private static func live(
    _ disk: inout SimulatedDisk, _ ledger: inout Ledger, _ harness: Harness,
    _ generator: inout SoakGenerator, _ life: Int, _ result: inout SuiteResult
  ) throws {
    tamper(&disk, &ledger, harness, &generator)
    let actions = generator.actions(ledger)
    do {
      try live(disk, &ledger, actions, harness, &generator, &result)
    } catch let violation as Violation {
      throw violation.within("life \(life) of \(actions)")
    }
    let survivors = disk.postCrashStates(limit: harness.statesPerCrash, seed: harness.seed)
    disk = survivors[Int.random(in: 0..<survivors.count, using: &generator)]
  }

  /// Plays `actions` until a random call, where the power fails, and examines what is left.
  private static func live(
    _ disk: SimulatedDisk, _ ledger: inout Ledger, _ actions: [Action], _ harness: Harness,
    _ generator: inout SoakGenerator, _ result: inout SuiteResult
  ) throws {
    // How many calls the undisturbed life makes decides where it ends.
    let rehearsal = Player(disk.copy(), harness, ledger)
    rehearsal.toleratesErrors = false
    try rehearsal.live(actions)
    rehearsal.end()
    let cut = Int.random(in: 0...rehearsal.disk.operationCount, using: &generator)
    let fault = generator.fault(among: rehearsal.disk.operations)
    let player = Player(disk, harness, ledger)
    disk.crash(beforeOperation: disk.operationCount + cut)
    if let fault {
      disk.faultPlan = FaultPlan([fault])
      player.areLocksSound = false
    }
    do {
      try player.live(actions)
      player.end()
      disk.crash()
      ledger = player.ledger
      result.caseCount += 1
      try result.examine(player, harness, limit: harness.statesPerCrash)
    } catch let violation as Violation {
      throw violation.within("cut before call \(cut)" + (fault.map { ", \($0)" } ?? ""))
    }
  }

  /// What happens to a disk while nobody uses it, now and then; never to the last sound checkpoint.
  private static func tamper(
    _ disk: inout SimulatedDisk, _ ledger: inout Ledger, _ harness: Harness,
    _ generator: inout SoakGenerator
  ) {
    guard generator.chance(35), ledger.owed.count >= 2,
      let newest = disk.checkpointNames.last?.generation, !ledger.spoiled.contains(newest),
      ledger.owed.contains(where: { $0 != newest })
    else { return }
    let action = generator.pick([Action.pin, .damage, .damage, .quarantine])
    if action == .pin, ledger.pinned.contains(newest) { return }
    let player = Player(disk, harness, ledger)
    player.playTrying(action, times: 1)
    player.end()
    // The machine starts again with what stands there now.
    disk = disk.copy()
    ledger = player.ledger
  }
}

extension Player {
  /// Plays on after errors, until the power is off.
  func live(_ actions: [Action]) throws {
    for action in actions {
      if disk.hasCrashed { return }
      playTrying(action, times: 1)
      if let violation { throw violation }
    }
  }
}

/// The dice of a soak.
struct SoakGenerator: RandomNumberGenerator {
  private var numbers: SplitMix64

  init(seed: UInt64) { numbers = SplitMix64(state: seed) }

  mutating func next() -> UInt64 { numbers.next() }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

  mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[Int.random(in: 0..<elements.count, using: &self)]
  }

  /// What a process, and others beside it, do in one life.
  mutating func actions(_ ledger: Ledger) -> [Action] {
    let count = Int.random(in: 1...4, using: &self)
    return (0..<count).map { _ in
      let step = UInt64.random(in: 1...9, using: &self)
      let kept = Int.random(in: 1...3, using: &self)
      return switch Int.random(in: 0..<20, using: &self) {
      case 0..<8: .save(step: step)
      case 8..<11: .retain(last: kept)
      case 11: .finishRetention(last: kept)
      case 12: .restart
      case 13:
        .goBack(step: pick(ledger.acknowledged.values.joined().map(\.step).sorted() + [step]))
      case 14: ledger.newest == nil ? .save(step: step) : .read
      case 15: .saveWhileAnotherOpens(step: step)
      case 16: .saveWhileAJanitorRuns(step: step)
      case 17: .saveWhileAnotherSaves(step: step)
      case 18: ledger.newest == nil ? .save(step: step) : .saveWhileAReaderResumes(step: step)
      default: ledger.newest == nil ? .save(step: step) : .retainWhileHeld(last: kept)
      }
    }
  }

  /// Something that goes wrong before the power does, in half of the lives.
  mutating func fault(among operations: [DiskOperation]) -> FaultPlan.Fault? {
    guard chance(50), !operations.isEmpty else { return nil }
    let index = Int.random(in: 0..<operations.count, using: &self)
    var effect = FaultPlan.Effect.error(pick(FailureSuite.errnos))
    switch operations[index].kind {
    case .rename, .replace, .link, .unlink, .open, .makeDirectory:
      if chance(30) { effect = .errorAfterEffect(pick([EIO, ESTALE, EINTR])) }
    case .write, .read:
      if chance(30) { effect = .shortTransfer(byteCount: pick([0, 1, 63, 500])) }
    default: break
    }
    return FaultPlan.Fault(occurrence: index, effect, pick([.once, .times(3), .always]))
  }
}
