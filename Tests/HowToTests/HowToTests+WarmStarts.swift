import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a run begins with another one's weights and nothing else of it, once, and goes on with its own
// checkpoints from then on; what is left out is told; a resume and a restore of a part differ from it as
// the page's table says.
// Method: a base of five classes and runs of two and of five, on simulated disks.
extension HowToTests {
  @Test func weightsAreTakenOverAndTheRunIsNew() throws {
    let disk = try diskWithBase()
    var classifier = Classifier(classCount: 2)
    do {
      let manager = try manager(on: disk)
      try beginOrGoOn(&classifier, with: manager, from: "/base")
      #expect(classifier.features == base.features)
      #expect(classifier.head == Classifier(classCount: 2).head)
      #expect(classifier.step == 0 && classifier.momentum == Classifier(classCount: 2).momentum)
      // It dies before its first save: nothing is lost, since nothing was there.
    }
    classifier = Classifier(classCount: 2)
    do {
      let manager = try manager(on: disk)
      try beginOrGoOn(&classifier, with: manager, from: "/base")
      #expect(classifier.features == base.features)
      classifier.trainStep()
      try manager.stepCompleted(1, state: classifier)
    }
    // Once it has saved, the same program goes on, even if the base is gone.
    var resumed = Classifier(classCount: 2)
    let manager = try manager(on: disk)
    try beginOrGoOn(&resumed, with: manager, from: "/nowhere")
    #expect(try stateDigest(of: resumed) == stateDigest(of: classifier))
    resumed.trainStep()
    try manager.stepCompleted(2, state: resumed)
    let (own, other) = (try newest("/run", on: disk), try newest("/base", on: disk))
    #expect(own.header.runIdentifier != other.header.runIdentifier)
    #expect(
      own.metadata[.environment, "warm_started_from"]
        == .string(other.header.checkpointIdentifier.description))
  }

  @Test func strictIsTheDefaultAndAPatternMayLeaveOutWhatIsNew() throws {
    let disk = try diskWithBase()
    let manager = try manager(on: disk)
    var classifier = Classifier(classCount: 2)
    let refused = #expect(throws: CheckpointError.self) {
      try manager.warmStart(&classifier, from: "/base", restoring: .matching("model/**"))
    }
    #expect(refused?.code == .incompatibleState)
    #expect(refused?.message.contains("[5, 8], the program has float32 [2, 8]") == true)
    #expect(classifier.features == Classifier(classCount: 2).features)
    let report = try manager.warmStart(
      &classifier, from: "/base", restoring: .matching("model/**").excluding("model/head"))
    #expect(report.restored == ["model/features"])
    #expect(report.left == ["model/head", "optimizer/momentum", "step"])
    #expect(classifier.features == base.features)
  }

  @Test func aPatternThatMatchesNothingIsAnError() throws {
    let disk = try diskWithBase()
    var classifier = Classifier(classCount: 5)
    for misfits in [RestoreStrictness.MisfitPolicy.refuse, .leave] {
      let error = #expect(throws: CheckpointError.self) {
        try manager(on: disk).warmStart(
          &classifier, from: "/base", restoring: .matching("modle/**"), misfits: misfits)
      }
      #expect(error?.code == .incompatibleState)
    }
    #expect(classifier.features == Classifier(classCount: 5).features)
    // A base that lacks more than the head does not get through, though.
    let other = SimulatedDisk()
    try self.manager("/base", on: other).save(Featureless(), step: 1)
    #expect(throws: UnfitBase.self) {
      try beginOrGoOn(&classifier, with: self.manager(on: other), from: "/base")
    }
  }

  @Test func aWarmStartComesAfterAResumeAndNeverInPlaceOfOne() throws {
    let disk = try diskWithBase()
    try manager(on: disk).save(Classifier(classCount: 2), step: 1)
    var classifier = Classifier(classCount: 2)
    let manager = try manager(on: disk)
    let inUse = #expect(throws: CheckpointError.self) {
      try manager.warmStart(&classifier, from: "/base", restoring: .matching("model/features"))
    }
    #expect(inUse?.code == .notEmpty)
    try manager.resume(&classifier, from: .latest)
    let late = #expect(throws: CheckpointError.self) {
      try manager.warmStart(&classifier, from: "/base", restoring: .matching("model/features"))
    }
    #expect(late?.code == .invalidState)
  }

  @Test func aResumeFromAnotherRunTakesEverything() throws {
    let disk = try diskWithBase()
    var classifier = Classifier(classCount: 5)
    let manager = try manager(on: disk)
    try manager.resume(&classifier, from: .latest(orElse: "/base"))
    #expect(try stateDigest(of: classifier) == stateDigest(of: base))
    classifier.trainStep()
    try manager.save(classifier, step: classifier.step)
    let own = try newest("/run", on: disk)
    #expect(own.header.runIdentifier == (try newest("/base", on: disk)).header.runIdentifier)
    #expect(own.metadata[.environment, "warm_started_from"] == nil)
  }

  @Test func aRunGoesOnWithNewMoments() throws {
    let disk = try diskWithBase()
    var classifier = Classifier(classCount: 5)
    let manager = try manager("/base", on: disk)
    try resumeWithNewOptimizer(&classifier, with: manager)
    #expect(classifier.features == base.features && classifier.head == base.head)
    #expect(classifier.step == 9 && classifier.momentum == Classifier(classCount: 5).momentum)
    let parent = try newest("/base", on: disk).header
    try manager.save(classifier, step: 10)
    let next = try newest("/base", on: disk).header
    #expect(next.runIdentifier == parent.runIdentifier)
    #expect(next.parentIdentifier == parent.checkpointIdentifier)
  }

  @Test func onlyAResumeComparesTheContract() throws {
    let disk = try diskWithBase(data: "one")
    var classifier = Classifier(classCount: 5)
    let manager = try manager(on: disk, data: "two")
    let selected = RestoreStrictness.selected(.matching("model/**"))
    for strictness in [.exact, selected] {
      #expect(throws: CheckpointError.self) {
        try manager.resume(&classifier, from: .path("/base"), strictness: strictness)
      }
    }
    try manager.warmStart(&classifier, from: "/base", restoring: .matching("model/**"))
    #expect(classifier.features == base.features)
  }

  private var base: Classifier {
    var classifier = Classifier(classCount: 5)
    for _ in 0..<9 { classifier.trainStep() }
    return classifier
  }

  private func diskWithBase(data: String = "any") throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    try manager("/base", on: disk, data: data).save(base, step: 9)
    return disk
  }

  private func manager(
    _ path: String = "/run", on disk: SimulatedDisk, data: String = "any"
  ) throws -> CheckpointManager {
    var contract = ResumeContract()
    contract.state("data", data, ifDifferent: .refuse)
    return try CheckpointManager(
      directory: path, saving: .every(steps: 1), keeping: .last(3), contract: contract,
      options: StoreOptions(device: disk.device))
  }

  private func newest(_ path: String, on disk: SimulatedDisk) throws -> CheckpointReader {
    let options = StoreOptions(device: disk.device)
    let store = try CheckpointStore(path, for: .reading, options: options)
    return try #require(try store.recover()).reader
  }
}

private struct Featureless: Checkpointable {
  func save(to state: inout StateWriter) throws {
    try state.tensor("model/head", [Float](repeating: 1, count: 40), shape: [5, 8])
  }
  mutating func restore(from state: StateReader) throws {}
}
