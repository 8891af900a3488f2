import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: of several processes that train together one saves, and the others resume what it resumed.
@Suite("Processes beside the one that saves")
struct FollowerTests {
  private let disk = SimulatedDisk()

  @Test func theyResumeTheSameGenerationWhileTheFirstIsWriting() throws {
    try disk.train(3)
    try disk.damage(checkpointPath(step: 3, generation: 3))
    let first = try disk.manager(keeping: .last(1))
    var leader = ToyTrainer()
    let chosen = try #require(try first.resume(&leader, from: .latest).checkpoint)
    let before = disk.operationCount
    let second = try disk.manager(for: .reading)
    var follower = ToyTrainer()
    let result = try second.resume(&follower, from: .generation(chosen.generation))
    #expect(result.checkpoint == chosen && follower == leader)
    // Both report their steps; one of them saves.
    for step in 3...4 {
      leader.trainStep()
      follower.trainStep()
      guard case .saved = try first.stepCompleted(step, state: leader),
        case .notDue = try second.stepCompleted(step, state: follower)
      else { throw TrainerError() }
    }
    try second.prewarm(follower)
    #expect(try second.finish(saving: follower, step: 4).isEmpty)
    try second.finish()
    #expect(disk.operationCount > before)
    #expect(follower == leader)
  }

  @Test func theySaveNothingAndSayWhy() throws {
    try disk.train(1)
    let manager = try disk.manager(for: .reading, mode: .background())
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest, damaged: .setAside)
    let names = disk.names(inDirectoryAt: SimulatedDisk.store)
    let error = try checkpointError { _ = try manager.save(trainer, step: 2) }
    #expect(error.code == .invalidState && error.message.contains("opened for reading"))
    let other = try disk.manager(for: .reading)
    guard case .failed = other.saveEmergency(trainer, step: 2, because: TrainerError()) else {
      throw TrainerError()
    }
    try other.finish()
    #expect(disk.names(inDirectoryAt: SimulatedDisk.store) == names)
  }

  @Test func theyStopAsTheFirstDoes() throws {
    try disk.train(1)
    let manager = try disk.manager(for: .reading, stopping: StopPolicy(after: .zero))
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .never)
    guard case .stopRequested(let report) = try manager.stepCompleted(1, state: trainer) else {
      throw TrainerError()
    }
    #expect(report.save == nil && disk.checkpoints().count == 1)
  }

  @Test func aStoreThatIsNotThereCannotBeRead() throws {
    #expect(try checkpointError { _ = try disk.manager(for: .reading) }.code == .notFound)
  }
}
