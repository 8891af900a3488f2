// snippet: test-your-program
import CheckpointTesting
import CheckpointTraining
import Testing

/// The program: opens its store on the device it is given, resumes, and trains to the end.
func trainToTheEnd(_ run: FaultTest.Run) throws -> String {
  var trainer = Trainer()
  let manager = try CheckpointManager(
    directory: "/run", saving: .every(steps: 2), keeping: .last(2),
    options: StoreOptions(device: run.device, threads: 1))
  let resumed = try manager.resume(&trainer, from: .latest)
  run.resumed(from: resumed.checkpoint?.step ?? 0)
  while trainer.step < 6 {
    _ = trainer.trainStep()
    if case .saved = try manager.stepCompleted(trainer.step, state: trainer) {
      run.acknowledged(trainer.step)
    }
  }
  try manager.finish()
  return try stateDigest(of: trainer)
}

@Test func myTrainerSurvivesEveryPowerCut() throws {
  #expect(try FaultTest(trainToTheEnd).crashes().violations == [])
}

@Test func myTrainerSurvivesEveryFailingCall() throws {
  #expect(try FaultTest(trainToTheEnd).failures().violations == [])
}
// end of snippet

// What the page says of a program that forgets something.

/// A program whose checkpoint lacks the state of its random generator.
private struct ForgetfulTrainer: Checkpointable {
  var trainer = Trainer()

  func save(to state: inout StateWriter) throws {
    try state.value("step", trainer.step)
    try state.tensor("weights", trainer.weights, shape: [32, 32])
    try state.tensor("momentum", trainer.momentum, shape: [32, 32])
  }

  mutating func restore(from state: StateReader) throws {
    trainer.step = try state.value("step")
    try state.tensor("weights", into: &trainer.weights, shape: [32, 32])
    try state.tensor("momentum", into: &trainer.momentum, shape: [32, 32])
  }
}

@Test func aStateThatIsNotSavedIsFound() throws {
  let test = FaultTest { run in
    var forgetful = ForgetfulTrainer()
    let manager = try CheckpointManager(
      directory: "/run", saving: .every(steps: 2),
      options: StoreOptions(device: run.device, threads: 1))
    try manager.resume(&forgetful, from: .latest)
    while forgetful.trainer.step < 4 {
      _ = forgetful.trainer.trainStep()
      try manager.stepCompleted(forgetful.trainer.step, state: forgetful)
    }
    return try stateDigest(of: forgetful.trainer)
  }
  let report = try test.crashes(statesPerCall: 2)
  let found = try #require(report.violations.first { $0.contains("it ended with") })
  print("what the page shows: \(found)")
}

@Test func aProgramThatBeginsAnewIsFound() throws {
  let test = FaultTest { run in
    var trainer = Trainer()
    let manager = try CheckpointManager(
      directory: "/run", saving: .every(steps: 2),
      options: StoreOptions(device: run.device, threads: 1))
    try manager.resume(&trainer, from: .never)
    run.resumed(from: 0)
    for _ in 0..<2 { _ = trainer.trainStep() }
    if case .saved = try manager.stepCompleted(2, state: trainer) { run.acknowledged(2) }
    return try stateDigest(of: trainer)
  }
  let report = try test.crashes(statesPerCall: 2)
  #expect(report.violations.contains { $0.contains("was acknowledged, and it resumed from 0") })
  #expect(report.diskCount > report.disturbedRunCount)
}
