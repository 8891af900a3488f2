import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: what belongs together is known by its run, and what is mixed up is said to be.
@Suite struct RunTests {
  private let disk = SimulatedDisk()
  private let other = SimulatedDisk(seed: 99)

  private func recover(_ selection: CheckpointSelection = .latest) throws -> Recovery? {
    try disk.reader().recover(selection)
  }

  @Test func aResumedRunKeepsItsIdentifierAndNamesItsParent() throws {
    let store = try disk.writer()
    let first = try store.save(SampleState(1), step: 1)
    let second = try store.save(SampleState(2), step: 2)
    let run = try #require(try recover()).reader.header.runIdentifier
    let header = try #require(try recover()).reader.header
    #expect(header.parentIdentifier == first.checkpointIdentifier)
    #expect(header.branchPoints.isEmpty)

    store.continueRun(from: try #require(try recover()).reader, choice: .automatic)
    try store.save(SampleState(3), step: 3)
    let resumed = try #require(try recover()).reader.header
    #expect(resumed.runIdentifier == run)
    #expect(resumed.parentIdentifier == second.checkpointIdentifier)
    #expect(resumed.branchPoints.map(\.generation) == [2])
    #expect(resumed.branchPoints.map(\.identifier) == [second.checkpointIdentifier])
  }

  @Test func twoRunsMixedTogetherAreAmbiguousAndBothAreNamed() throws {
    try disk.saveRun(1, 2)
    try other.saveRun(10, 20, 30)
    try disk.put(checkpointName(30, 3), other.contents(checkpointName(30, 3)))
    let error = #expect(throws: CheckpointError.self) { try recover() }
    #expect(error?.code == .ambiguous)
    for name in [checkpointName(30, 3), checkpointName(2, 2), checkpointName(1, 1)] {
      #expect(error?.message.contains(name) == true)
    }
    // Each can still be named.
    #expect(try recover(.generation(3))?.step == 30)
    #expect(try recover(.step(2))?.step == 2)
  }

  @Test func oneGenerationTwiceIsAmbiguousIfBothAreIntact() throws {
    try disk.saveRun(1, 2)
    try other.saveRun(10, 20)
    try disk.put("step-20.ckpt", other.contents(checkpointName(20, 2)))
    #expect(errorCode { _ = try recover() } == .ambiguous)
    #expect(errorCode { _ = try recover(.generation(2)) } == .ambiguous)
  }

  @Test func oneGenerationTwiceInOneRunIsAmbiguousToo() throws {
    // Two copies of a store went on separately and were put together again.
    try disk.saveRun(1)
    let fork = disk.copy()
    _ = fork.device.randomBits()
    try disk.saveRun(2)
    try fork.saveRun(3)
    try disk.put(checkpointName(3, 2), fork.contents(checkpointName(3, 2)))
    #expect(errorCode { _ = try recover() } == .ambiguous)
    try disk.damage(checkpointName(3, 2))
    #expect(try recover()?.step == 2)
  }

  @Test func aSecondNameOfOneFileIsNotAmbiguous() throws {
    try disk.saveRun(1, 2)
    try disk.put("step-2.ckpt", disk.contents(checkpointName(2, 2)))
    #expect(try recover()?.step == 2)
  }

  @Test func aFreshRunSupersedesWhatWasThere() throws {
    try disk.saveRun(1, 2)
    let store = try disk.writer()
    store.beginFreshRun()
    try store.save(SampleState(50), step: 50)
    let header = try #require(try recover()).reader.header
    #expect(header.step == 50)
    #expect(header.parentIdentifier == nil)
    #expect(header.supersededGeneration == 2)
    #expect(try recover(.step(1))?.step == 1)
    // The old files age like the run's own.
    try store.save(SampleState(51), step: 51)
    #expect(store.retain(last: 2).removed.count == 2)
  }

  @Test func aDamagedFreshRunDoesNotHandOverToTheOldOneSilently() throws {
    try disk.saveRun(1, 2)
    let store = try disk.writer()
    store.beginFreshRun()
    try store.save(SampleState(50), step: 50)
    try disk.damage(checkpointName(50, 3))
    #expect(errorCode { _ = try recover() } == .ambiguous)
    #expect(try recover(.step(2))?.step == 2)
  }

  @Test func aDeliberateChoiceSettlesAMixedStore() throws {
    try disk.saveRun(1, 2)
    try other.saveRun(10, 20, 30)
    try disk.put(checkpointName(30, 3), other.contents(checkpointName(30, 3)))
    let store = try disk.writer()
    let chosen = try #require(try store.recover(.generation(2)))
    store.continueRun(from: chosen.reader, choice: .deliberate)
    try store.save(SampleState(4), step: 4)
    #expect(try recover()?.step == 4)
    #expect(try recover()?.reader.header.supersededGeneration == 3)
  }

  @Test func goingBackDeliberatelyAndOnIsNotAmbiguous() throws {
    try disk.saveRun(1, 2, 3)
    let store = try disk.writer()
    let chosen = try #require(try store.recover(.step(1)))
    store.continueRun(from: chosen.reader, choice: .deliberate)
    try store.save(SampleState(4), step: 2)
    #expect(try recover()?.generation == 4)
    #expect(try recover(.step(2))?.generation == 4)
  }
}
