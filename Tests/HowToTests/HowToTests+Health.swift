import CheckpointTraining
import Foundation
import Testing

// Goal: a run that goes wrong in each way of the page is marked, found or leaves a trace, and can be taken
// back; nothing goes on by itself from what went wrong, if the page says so.
// Method: the page's functions on real files, with weights and metrics that tests make wrong.
extension HowToTests {
  @Test func aRunGoesBackBehindItsNaN() throws {
    try withDirectory { directory in
      let good = try runThatGoesWrong(in: directory)
      // Of five, the newest two stay, and the newest healthy one: step 200.
      #expect(try branches(of: directory) == [2, 4, 5].map { "* branch 0, step \($0)00" })
      #expect(
        try reasons(in: directory) == [
          nil, "the tensor 'weights' holds a NaN or an infinity",
          "the tensor 'weights' holds a NaN or an infinity",
        ])
      var trainer = Trainer()
      do {
        let manager = try makeWatchfulManager(directory)
        try resumeHealthy(&trainer, with: manager)
        #expect(try stateDigest(of: trainer) == good)
        #expect(try manager.retentionPlan().last?.reasons.contains(.newestHealthy) == true)
      }
      // Nothing is saved yet, so that the newest is what it was.
      let manager = try makeWatchfulManager(directory)
      #expect(try manager.resume(&trainer, from: .latest).checkpoint?.step == 500)
      trainer = Trainer()
      try resumeHealthy(&trainer, with: manager)
      try manager.stepCompleted(300, state: trainer)
      #expect(
        try branches(of: directory) == [
          "* branch 0, step 200", "  branch 0, step 500", "* branch 1, step 300",
        ])
      // From the first save on it is the newest.
      var next = Trainer()
      #expect(try manager.resume(&next, from: .latest).checkpoint?.step == 300)
      #expect(try stateDigest(of: next) == good)
    }
  }

  @Test func onlyWhatIsSavedIsJudged() throws {
    try withDirectory { directory in
      let manager = try makeWatchfulManager(directory)
      for step in 1...300 {
        let loss = step == 150 || step == 200 ? 7.0 : 2.0
        try manager.stepCompleted(step, state: Trainer(), metrics: ["loss": loss])
      }
      try manager.stepCompleted(400, state: Trainer(), metrics: ["loss": .nan])
      #expect(try reasons(in: directory) == [nil, "the metric 'loss' is nan"])
      let plan = try manager.retentionPlan()
      #expect(plan.map(\.entry.step) == [400, 300])
    }
    try withDirectory { directory in
      let manager = try makeWatchfulManager(directory)
      for step in 1...200 {
        let loss = step == 150 || step == 200 ? 7.0 : 2.0
        try manager.stepCompleted(step, state: Trainer(), metrics: ["loss": loss])
      }
      #expect(
        try reasons(in: directory)
          == [nil, "the metric 'loss' is 7.0, and was 2.0 in the middle"])
    }
  }

  @Test func whereNothingIsHealthyTheRunStops() throws {
    try withDirectory { directory in
      let manager = try makeWatchfulManager(directory)
      try manager.stepCompleted(100, state: Trainer(), metrics: ["loss": .infinity])
      var trainer = Trainer()
      let error = #expect(throws: CheckpointError.self) {
        try resumeHealthy(&trainer, with: manager)
      }
      #expect(error?.code == .noIntactCheckpoint)
    }
  }

  @Test func damagedFilesAreSetAsideAsTheRunGoesBack() throws {
    try withDirectory { directory in
      let good = try runThatGoesWrong(in: directory)
      let names = try FileManager.default.contentsOfDirectory(atPath: directory)
      let newest = directory + "/" + (try #require(names.filter { $0.hasSuffix("t") }.max()))
      let bytes = try Data(contentsOf: URL(fileURLWithPath: newest)).dropLast(100)
      try bytes.write(to: URL(fileURLWithPath: newest))
      var trainer = Trainer()
      try resumeHealthy(&trainer, with: makeWatchfulManager(directory))
      #expect(try stateDigest(of: trainer) == good)
      #expect(try Data(contentsOf: URL(fileURLWithPath: newest + ".damaged")) == bytes)
      #expect(!FileManager.default.fileExists(atPath: newest))
    }
  }

  @Test func aResumeThatMeasuresAnotherValueStopsOrTriesAnOlderOne() throws {
    try withDirectory { directory in
      var trainer = Trainer()
      var values: [Double] = []
      do {
        let manager = try makeWatchfulManager(directory)
        for step in 1...2 {
          _ = trainer.trainStep()
          values.append(trainer.evaluate())
          // The second comes from a machine that computes otherwise.
          let metrics = ["eval_loss": values[step - 1] * (step == 2 ? 1.000_001 : 1)]
          try manager.save(trainer, step: step, metrics: metrics)
        }
      }
      let manager = try makeWatchfulManager(directory)
      let error = #expect(throws: CheckpointError.self) {
        try resumeMeasuring(&trainer, with: manager)
      }
      #expect(error?.code == .unhealthy && error?.message.contains("restored it gives") == true)
      let refused = #expect(throws: CheckpointError.self) { try manager.save(trainer, step: 3) }
      #expect(refused?.code == .invalidState)
      let tolerant = try resumeMeasuring(&trainer, with: manager, within: 0.01 * abs(values[1]))
      #expect(tolerant.checkpoint?.step == 2)
      let older = try resumeMeasuring(&trainer, with: manager, onMismatch: .tryOlder)
      #expect(older.validation == .agrees(saved: values[0], measured: values[0]))
      #expect(older.checkpoint?.step == 1 && older.skipped.map(\.reason.code) == [.unhealthy])
    }
  }

  @Test func aRunThatFailsLeavesWhatItHadComeTo() throws {
    try withDirectory { directory in
      var trainer = Trainer()
      do {
        let manager = try makeWatchfulManager(directory)
        for _ in 1...101 {
          _ = trainer.trainStep()
          try manager.stepCompleted(trainer.step, state: trainer)
        }
        trainer.weights[5] = .infinity
        #expect(throws: Diverged.self) {
          try trainOrLeaveTraces(&trainer, with: manager, toStep: 200)
        }
      }
      let left = try #require(try emergencies(in: directory).first)
      #expect(left.key.hasSuffix("/step-000000102.g000002.ckpt.emergency"))
      #expect(left.value == "Diverged(step: 102, loss: inf)")
      #expect(try Program.run([Program.path(of: "ckpt-verify"), directory]).status == 0)
      // To look at it.
      var resumed = Trainer()
      try CheckpointManager(directory: directory, for: .reading, saving: .manual)
        .resume(&resumed, from: .path(left.key))
      #expect(resumed.weights[5].isInfinite || resumed.weights[5].isNaN)
      resumed = Trainer()
      let manager = try makeWatchfulManager(directory)
      #expect(try manager.resume(&resumed, from: .latest).checkpoint?.step == 100)
      // Deliberately, by its path.
      #expect(try manager.resume(&resumed, from: .path(left.key)).checkpoint?.step == 102)
      #expect(try stateDigest(of: resumed) == stateDigest(of: trainer))
      for step in 103...106 { try manager.save(resumed, step: step) }
      #expect(FileManager.default.fileExists(atPath: left.key))
      // The infinity is in the weights still: besides the newest two, the healthy one stays.
      #expect(try branches(of: directory) == [100, 105, 106].map { "* branch 0, step \($0)" })
    }
  }

  @Test func nothingIsLeftWhereTheLastStepIsSavedAndAStoreOfTracesIsNotEmpty() throws {
    try withDirectory { directory in
      var trainer = Trainer()
      trainer.step = 99
      let manager = try makeWatchfulManager(directory)
      _ = trainer.trainStep()
      try manager.stepCompleted(trainer.step, state: trainer)
      trainer.weights[5] = .infinity
      #expect(throws: Diverged.self) {
        try trainOrLeaveTraces(&trainer, with: manager, toStep: 200)
      }
      #expect(try emergencies(in: directory).isEmpty)
    }
    try withDirectory { directory in
      var trainer = Trainer()
      trainer.weights[5] = .infinity
      let manager = try makeWatchfulManager(directory)
      #expect(throws: Diverged.self) {
        try trainOrLeaveTraces(&trainer, with: manager, toStep: 200)
      }
      trainer = Trainer()
      #expect(try manager.resume(&trainer, from: .latest).checkpoint == nil)
    }
  }

  /// Saves steps 100 to 500, from 300 on with a NaN among the weights; returns the digest at 200.
  private func runThatGoesWrong(in directory: String) throws -> String {
    let manager = try makeWatchfulManager(directory)
    var trainer = Trainer()
    var good = ""
    for step in [100, 200, 300, 400, 500] {
      let loss = trainer.trainStep()
      if step == 300 { trainer.weights[3] = .nan }
      if step == 200 { good = try stateDigest(of: trainer) }
      let metrics = step < 300 ? ["loss": loss] : [:]
      try manager.stepCompleted(step, state: trainer, metrics: metrics)
    }
    return good
  }

  /// Why checkpoints were marked, oldest first.
  private func reasons(in directory: String) throws -> [String?] {
    let store = try CheckpointStore(directory, for: .reading)
    return try store.entries().reversed().map { try store.open($0).metadata.unhealthyReason }
  }
}
