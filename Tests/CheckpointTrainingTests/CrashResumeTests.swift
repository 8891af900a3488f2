import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a run that loses power at any system call, and is resumed, ends with the same bits as one
// that never stopped; a step whose save was acknowledged is never trained again.
// Method: counts the calls of a whole run, then repeats it once per call with the power cut before
// that call, and finishes it on every disk that the cut can have left (a sample where there are
// very many).
@Suite("Crash and resume")
struct CrashResumeTests {
  private static let stepCount = 6
  private static let statesPerCrash = 16

  /// Trains to the end or to the crash; returns the last acknowledged step.
  private func run(_ disk: SimulatedDisk, _ trainer: inout ToyTrainer) throws -> Int {
    var acknowledged = 0
    // A disk without power refuses even to open the store.
    guard let manager = try? disk.manager(saving: .every(steps: 2), keeping: .last(2)) else {
      guard disk.hasCrashed else { throw TrainerError() }
      return 0
    }
    do {
      acknowledged = try manager.resume(&trainer, from: .latest).checkpoint?.step ?? 0
    } catch {
      guard disk.hasCrashed else { throw error }
      return 0
    }
    while trainer.step < Self.stepCount, !disk.hasCrashed {
      trainer.trainStep()
      do {
        if case .saved = try manager.stepCompleted(trainer.step, state: trainer) {
          acknowledged = trainer.step
        }
      } catch {
        guard disk.hasCrashed else { throw error }
      }
    }
    return acknowledged
  }

  @Test func everyCrashOfARunIsForgottenByItsEnd() throws {
    let probe = SimulatedDisk()
    var uninterrupted = ToyTrainer()
    #expect(try run(probe, &uninterrupted) == Self.stepCount)
    let digest = try stateDigest(of: uninterrupted)
    #expect(uninterrupted == ToyTrainer.trained(Self.stepCount))

    var stateCount = 0
    for index in 0..<probe.operationCount {
      let disk = SimulatedDisk()
      disk.crash(beforeOperation: index)
      var trainer = ToyTrainer()
      let acknowledged = try run(disk, &trainer)
      #expect(disk.hasCrashed)
      let survivors = disk.postCrashStates(limit: Self.statesPerCrash, seed: UInt64(index))
      for survivor in survivors {
        stateCount += 1
        try finish(on: survivor, after: acknowledged, digest, "cut before call \(index)")
      }
    }
    #expect(stateCount > 1000)
  }

  private func finish(
    on disk: SimulatedDisk, after acknowledged: Int, _ digest: String, _ place: String
  ) throws {
    var resumed = ToyTrainer()
    do {
      let result = try disk.manager().resume(&resumed, from: .latest)
      #expect(result.checkpoint?.step ?? 0 >= acknowledged, "\(place)")
      #expect(result.skipped.isEmpty, "\(place): a torn file had a checkpoint's name")
      #expect(resumed == ToyTrainer.trained(resumed.step), "\(place)")
    }
    var trainer = ToyTrainer()
    _ = try run(disk, &trainer)
    #expect(try stateDigest(of: trainer) == digest, "\(place)")
    #expect(disk.temporaries().isEmpty, "\(place)")
    // The cut may have come between a save and its retention; the next save makes up for that.
    let manager = try disk.manager(keeping: .last(2))
    try manager.resume(&trainer, from: .latest)
    try manager.saved(trainer, step: Self.stepCount)
    #expect(disk.checkpoints().count == 2, "\(place)")
  }

  @Test func aCrashDuringTheResumedRunIsForgottenToo() throws {
    let digest = try stateDigest(of: ToyTrainer.trained(Self.stepCount))
    let first = SimulatedDisk()
    first.crash(beforeOperation: 60)
    var trainer = ToyTrainer()
    _ = try run(first, &trainer)
    for (number, survivor) in first.postCrashStates(limit: 3, seed: 3).enumerated() {
      let probe = survivor.copy()
      trainer = ToyTrainer()
      _ = try run(probe, &trainer)
      for index in 0..<probe.operationCount {
        let second = survivor.copy()
        second.crash(beforeOperation: index)
        trainer = ToyTrainer()
        let acknowledged = try run(second, &trainer)
        for last in second.postCrashStates(limit: 4, seed: UInt64(index)) {
          try finish(on: last, after: acknowledged, digest, "state \(number), call \(index)")
        }
      }
    }
  }
}
