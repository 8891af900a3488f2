import CheckpointEngine
import CheckpointStorage
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// T1 and T2: every call of every scenario fails with every errno, once and for ever; transfers are
// short.

package enum FailureSuite {
  package static let name = "failures"

  /// What is injected into every call, whether or not Linux documents it for that call.
  package static let errnos: [Int32] = [
    EIO, ENOSPC, EDQUOT, EINTR, EROFS, EMFILE, EACCES, EFBIG, ESTALE, EINVAL, ENOSYS,
  ]

  /// Lets each call of `scenario` fail in every way.
  package static func run(_ scenario: Scenario, _ harness: Harness) -> SuiteResult {
    let errnos = harness.isThorough ? errnos : [EIO, ENOSPC, EINTR]
    var result = SuiteResult(name)
    result.expect("\(scenario)") { result in
      let prepared = try PreparedScenario(scenario, harness)
      for (index, operation) in try prepared.operations().enumerated() {
        for effect in effects(on: operation, errnos) {
          for repetition in [FaultPlan.Repetition.once, .always] {
            let fault = FaultPlan.Fault(occurrence: index, effect, repetition)
            let place = "call \(index) (\(operation)) \(effect) \(repetition)"
            let isSound = result.expect(place) { result in
              try play(prepared, fault, on: operation, harness, &result)
            }
            result.caseCount += 1
            if harness.stopsAtFirst, !isSound { return }
          }
        }
      }
    }
    return result
  }

  private static func effects(
    on operation: DiskOperation, _ errnos: [Int32]
  ) -> [FaultPlan.Effect] {
    var effects = errnos.map { FaultPlan.Effect.error($0) }
    switch operation.kind {
    case .sync:
      effects += [EIO, ENOSPC, EDQUOT].map { .errorLosingChanges($0) }
    case .rename, .replace, .link, .unlink, .open, .makeDirectory:
      effects += [EIO, ESTALE, EINTR].map { .errorAfterEffect($0) }
    case .write, .read:
      effects += [0, 1, Int(operation.byteCount ?? 2) - 1].map { .shortTransfer(byteCount: $0) }
    default: break
    }
    return effects
  }

  private static func play(
    _ prepared: PreparedScenario, _ fault: FaultPlan.Fault, on operation: DiskOperation,
    _ harness: Harness, _ result: inout SuiteResult
  ) throws {
    let player = prepared.player()
    let disk = player.disk
    let earlier = contents(of: disk)
    player.areLocksSound = operation.kind != .lock
    disk.faultPlan = FaultPlan([fault])
    var failure: CheckpointError?
    do {
      try player.play(prepared.scenario.actions)
    } catch let error as CheckpointError {
      failure = error
    }
    player.end()
    disk.faultPlan = FaultPlan()
    try check(failure, prepared.scenario, fault, operation)
    try require(disk.openDescriptorCount == 0, "descriptors are left open after \(failure as Any)")
    let names = disk.checkpointNames
    for name in names where player.failedNames.contains(name) {
      throw Violation("a save failed, and its checkpoint is there: \(failure as Any)")
    }
    // A temporary stays only if it could not be removed, or if nobody learned of it.
    if fault.repetition == .once, operation.kind != .unlink, operation.kind != .open {
      let rubbish = disk.storeNames.filter { $0.hasSuffix(".tmp") }
      try require(rubbish.isEmpty, "\(rubbish) stays after \(failure as Any)")
    }
    for (name, bytes) in contents(of: disk) where earlier[name] != nil {
      try require(earlier[name] == bytes, "\(name) was changed")
    }
    // The first state has all that the process left, the second what was durable by then.
    try result.examine(player, harness, limit: 2)
  }

  private static func contents(of disk: SimulatedDisk) -> [String: [UInt8]] {
    var contents: [String: [UInt8]] = [:]
    for name in disk.checkpointNames {
      contents[name] = disk.contents(ofFileAt: Harness.storePath + "/" + name)
    }
    return contents
  }

  /// What a program is told says what the machine did, and nothing about bytes.
  private static func check(
    _ failure: CheckpointError?, _ scenario: Scenario, _ fault: FaultPlan.Fault,
    _ operation: DiskOperation
  ) throws {
    // Others close temporaries too, and this program is not told what became of theirs.
    let isClosing =
      operation.kind == .close && operation.name.hasSuffix(".tmp") && !scenario.hasOtherWriters
    if isClosing, case .error(let errno) = fault.effect, errno != EINTR {
      try require(failure != nil, "the file was not closed well, and nobody is told")
    }
    guard let failure else { return }
    let isOnce = fault.repetition == .once
    if isOnce, fault.effect == .error(EINTR) {
      throw Violation("a signal made it fail: \(failure)")
    }
    if isOnce, case .shortTransfer(let count) = fault.effect, count > 0 {
      throw Violation("a short transfer made it fail: \(failure)")
    }
    let isExpected = failure.code == .busy || failure.errno != nil
    if !isExpected, !scenario.hasDamage {
      throw Violation("the machine refused, and the program is told \(failure.code): \(failure)")
    }
    try require(!failure.message.isEmpty, "an error without a word")
  }
}

extension Scenario {
  /// Whether another process writes, or looks at temporaries.
  fileprivate var hasOtherWriters: Bool {
    actions.contains { action in
      switch action {
      case .saveWhileAJanitorRuns, .saveWhileAnotherSaves: true
      default: false
      }
    }
  }

  /// Whether a checkpoint is spoiled, so that errors may speak of damage.
  var hasDamage: Bool { (earlier + actions).contains { $0 == .damage || $0 == .quarantine } }
}

// MARK: Transfers, and determinism

package enum RepeatSuite {
  package static let name = "repeat"

  /// T2 and T7: the same bytes and the same calls whenever it is played, and the same bytes however
  /// short the transfers are.
  package static func run(_ scenario: Scenario, _ harness: Harness) -> SuiteResult {
    var result = SuiteResult(name)
    result.expect("\(scenario)") { result in
      let prepared = try PreparedScenario(scenario, harness)
      let (reference, trace) = try play(prepared, FaultPlan())
      let (again, secondTrace) = try play(prepared, FaultPlan())
      result.caseCount += 2
      try require(trace == secondTrace, "the same actions make other calls the second time")
      try require(again == reference, "the same actions make other bytes the second time")
      for limit in [1, 7, 100] {
        let plan = FaultPlan([.init(nil, .shortTransfer(byteCount: limit), .always)])
        let (short, _) = try play(prepared, plan)
        result.caseCount += 1
        try require(short == reference, "transfers of \(limit) bytes make other bytes")
      }
      for kind in DiskOperation.Kind.all where kind != .close {
        let plan = FaultPlan([.init(kind, .error(EINTR), .times(3))])
        let (interrupted, _) = try play(prepared, plan)
        result.caseCount += 1
        try require(interrupted == reference, "an interrupted \(kind) makes other bytes")
      }
    }
    return result
  }

  /// The files' bytes by name, the process number in `.lock` apart, and the calls.
  private static func play(
    _ prepared: PreparedScenario, _ plan: FaultPlan
  ) throws -> ([String: [UInt8]], [DiskOperation]) {
    let player = prepared.player()
    let disk = player.disk
    disk.faultPlan = plan
    do {
      try player.play(prepared.scenario.actions)
    } catch let error as CheckpointError {
      throw Violation("it failed: \(error)")
    }
    var contents: [String: [UInt8]] = [:]
    for name in disk.storeNames where name != ".lock" {
      contents[name] = disk.contents(ofFileAt: Harness.storePath + "/" + name)
    }
    return (contents, disk.operations)
  }
}
