import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a state that has gone wrong is marked when it is saved, in whichever way that is, and a run can go
// back behind it.
@Suite("Health")
struct HealthTests {
  private let disk = SimulatedDisk()

  private func manager(
    _ health: HealthPolicy, mode: SaveMode = .blocking, keeping: RetentionPolicy = .all
  ) throws -> CheckpointManager {
    try disk.manager(mode: mode, keeping: keeping, checking: health)
  }

  /// What is wrong with each checkpoint, oldest first; nil stands for nothing.
  private func reasons() throws -> [String?] {
    try disk.checkpoints().map { name in
      try CheckpointReader.open(path: SimulatedDisk.store + "/" + name, on: disk.device, threads: 1)
        .metadata.unhealthyReason
    }
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func anInfinityOrNaNInATensorIsFound(mode: SaveMode) throws {
    let manager = try manager(.finite, mode: mode)
    var trainer = ToyTrainer.trained(1)
    try manager.stepCompleted(1, state: trainer)
    trainer.momentum[7] = .nan
    try manager.stepCompleted(2, state: trainer)
    trainer.momentum[7] = 0
    trainer.weights[23] = -.infinity
    try manager.stepCompleted(3, state: trainer)
    trainer.weights[23] = 0
    let results = try manager.finish(saving: trainer, step: 4)
    guard case .saved(let receipt, _) = results.last else { throw TrainerError() }
    #expect(receipt.unhealthyReason == nil)
    #expect(
      try reasons() == [
        nil, "the tensor 'momentum' holds a NaN or an infinity",
        "the tensor 'weights' holds a NaN or an infinity", nil,
      ])
  }

  @Test func everyFloatTypeIsLookedAtAndNothingElse() throws {
    let patterns: [(DType, [UInt8], Bool)] = [
      (.float16, [0, 0x7c], true), (.float16, [0xff, 0x7b], false), (.float16, [1, 0xfc], true),
      (.bfloat16, [0x80, 0x7f], true), (.bfloat16, [0x7f, 0x7f], false),
      (.float32, [0, 0, 0x80, 0x7f], true), (.float32, [255, 255, 0x7f, 0xff], false),
      (.float64, [0, 0, 0, 0, 0, 0, 0xf0, 0xff], true),
      (.float64, [255, 255, 255, 255, 255, 255, 0xef, 0x7f], false),
      (.complex64, [0, 0, 0, 0, 0, 0, 0xc0, 0x7f], true), (.float8e5m2, [0x7c], true),
      (.float8e5m2, [0x7b], false), (.float8e4m3fn, [0xff], true), (.float8e4m3fn, [0x7e], false),
      (.int32, [255, 255, 255, 0x7f], false), (.uint8, [255], false), (.bool, [0x7f], false),
    ]
    for (number, (dtype, bytes, isFound)) in patterns.enumerated() {
      // In a tensor of several blocks, at its end; made on demand every other time.
      let count = 5000
      let zeros = [UInt8](repeating: 0, count: dtype.byteCount * (count - 1))
      let state = ScriptedState(onSave: { state in
        try unsafe state.tensor("none", dtype: dtype, shape: [0], [UInt8]().span.bytes)
        if number % 2 == 0 {
          try unsafe state.tensor("x", dtype: dtype, shape: [count], (zeros + bytes).span.bytes)
        } else {
          try unsafe state.tensor("x", dtype: dtype, shape: [count]) { offset, target in
            let part = (zeros + bytes)[Int(offset)..<Int(offset) + target.count]
            unsafe target.copyBytes(from: part)
          }
        }
      })
      let disk = SimulatedDisk()
      let receipt = try disk.manager(checking: .finite).saved(state, step: 1)
      #expect((receipt.unhealthyReason != nil) == isFound, "\(dtype) \(bytes)")
    }
  }

  @Test func onlyWhatIsSelectedIsLookedAtAndTiedNamesLookAtTheirBytes() throws {
    let state = ScriptedState(onSave: { state in
      try state.tensor("cache/x", [Float.nan])
      try state.alias("model/x", of: "cache/x")
      try state.tensor("cache/y", [Float.nan])
    })
    func reason(_ selection: StateSelection) throws -> String? {
      let disk = SimulatedDisk()
      return try disk.manager(checking: .finite(in: selection)).saved(state, step: 1)
        .unhealthyReason
    }
    #expect(try reason(.matching("model/**"))?.contains("'cache/x'") == true)
    #expect(try reason(.everything.excluding("cache/x", "model/x"))?.contains("'cache/y'") == true)
    #expect(try reason(.matching("other")) == nil)
  }

  @Test func metricsThatAreNoNumbersAreFound() throws {
    let manager = try manager(.finite)
    let trainer = ToyTrainer()
    for (step, loss) in [1.0, .nan, -.infinity].enumerated() {
      try manager.stepCompleted(step + 1, state: trainer, metrics: ["loss": loss])
    }
    #expect(
      try reasons() == [nil, "the metric 'loss' is nan", "the metric 'loss' is -inf"])
  }

  @Test func aSpikeIsFarAboveTheMedianAndDoesNotBecomeTheMeasure() throws {
    let manager = try manager(.noSpike(of: "loss", above: 2, over: 4))
    let losses = [9.0, 4, 4, 4, 4, 7.9, 8.1, 4, .nan, 4, 100, 100, 100, 100, 100, 4]
    for (step, loss) in losses.enumerated() {
      try manager.stepCompleted(
        step + 1, state: ToyTrainer(), metrics: ["loss": loss, "other": 1e9])
    }
    try manager.stepCompleted(20, state: ToyTrainer())
    let marked = try reasons().enumerated().filter { $0.element != nil }.map(\.offset)
    #expect(marked == [6, 8, 10, 11, 12, 13, 14])
  }

  @Test func theLastValuesAreKnownAfterAResume() throws {
    func resumed(_ health: HealthPolicy) throws -> CheckpointManager {
      let manager = try disk.manager(saving: .every(steps: 20), checking: health)
      var trainer = ToyTrainer()
      try manager.resume(&trainer, from: .latest)
      return manager
    }
    do {
      // Watched, and saved at two steps of forty.
      let manager = try resumed(.noSpike(of: "loss", above: 2, over: 15))
      for step in 1...40 {
        try manager.stepCompleted(
          step, state: ToyTrainer(), metrics: ["loss": step % 20 == 0 ? 50 : 1])
      }
    }
    func save(_ step: Int, _ metrics: [String: Double], _ health: HealthPolicy) throws {
      try resumed(health).save(ToyTrainer(), step: step, metrics: metrics)
    }
    try save(41, ["loss": 3], .noSpike(of: "loss", above: 2, over: 15))
    #expect(try reasons().last == "the metric 'loss' is 3.0, and was 1.0 in the middle")
    // A metric that nobody watched before is known from the saves.
    for step in 42...43 { try save(step, ["other": 1], .none) }
    try save(44, ["other": 2.5], .noSpike(of: "other", above: 2, over: 2))
    #expect(try reasons().last == "the metric 'other' is 2.5, and was 1.0 in the middle")
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func whatAnUnhealthyStateMeasuresIsNoRecord(mode: SaveMode) throws {
    let policy = SavePolicy.onImprovement(of: "loss", .lowest)
    let manager = try disk.manager(saving: policy, mode: mode, checking: .finite)
    var trainer = ToyTrainer()
    try manager.stepCompleted(1, state: trainer, metrics: ["loss": 5])
    trainer.weights[0] = .nan
    try manager.stepCompleted(2, state: trainer, metrics: ["loss": 1])
    // What was said of a save in the background counts from the next step on.
    if mode != .blocking { try manager.prewarm(trainer) }
    trainer.weights[0] = 0
    try manager.stepCompleted(3, state: trainer, metrics: ["loss": 4])
    try manager.finish()
    #expect(try reasons().map { $0 == nil } == [true, false, true])
    var next = ToyTrainer()
    let resumed = try disk.copy().manager(saving: policy)
    try resumed.resume(&next, from: .latest)
    guard case .saved = try resumed.stepCompleted(4, state: next, metrics: ["loss": 3]) else {
      throw TrainerError()
    }
  }

  @Test func savesByHandAreWatchedAsWell() throws {
    let manager = try disk.manager(saving: .manual, checking: .noSpike(of: "loss", above: 2))
    for step in 1...20 {
      // Reported or not, a step counts once.
      if step % 2 == 0 {
        try manager.stepCompleted(step, state: ToyTrainer(), metrics: ["loss": 1])
      }
      try manager.save(ToyTrainer(), step: step, metrics: ["loss": 1])
    }
    let spike = try manager.saved(ToyTrainer(), step: 21, metrics: ["loss": 1000])
    #expect(spike.unhealthyReason != nil)
  }

  @Test func nothingIsSaidBeforeEnoughIsKnown() throws {
    let manager = try manager(.noSpike(of: "loss", above: 2))
    for step in 1...10 {
      try manager.stepCompleted(step, state: ToyTrainer(), metrics: ["loss": step == 10 ? 99 : 1])
    }
    try manager.stepCompleted(11, state: ToyTrainer(), metrics: ["loss": 1])
    try manager.stepCompleted(12, state: ToyTrainer(), metrics: ["loss": 99])
    #expect(try reasons().compactMap { $0 }.count == 1)
    #expect(try reasons().last != .some(nil))
  }

  @Test func aRunGoesBackBehindWhatWentWrong() throws {
    do {
      let manager = try manager(.finite, keeping: .last(2))
      var trainer = ToyTrainer.trained(1)
      for step in 1...5 {
        if step == 3 { trainer.weights[0] = .nan }
        try manager.stepCompleted(step, state: trainer)
      }
    }
    // Steps 4 and 5 are the newest two; 2 is the newest healthy one.
    #expect(disk.checkpoints().count == 3)
    let manager = try manager(.finite, keeping: .last(2))
    var trainer = ToyTrainer()
    let result = try manager.resume(&trainer, from: .latestHealthy)
    #expect(result.checkpoint?.step == 2 && trainer == .trained(1))
    #expect(result.skipped.map(\.reason.code) == [.unhealthy, .unhealthy])
    try manager.stepCompleted(3, state: trainer)
    // What was left behind does not come back.
    var next = ToyTrainer()
    let again = try disk.copy().manager().resume(&next, from: .latest)
    #expect(again.checkpoint?.step == 3 && again.skipped.isEmpty)
    let nodes = try CheckpointStore(
      SimulatedDisk.store, for: .reading, options: StoreOptions(device: disk.device)
    ).lineage()
    #expect(nodes.filter(\.leadsToNewest).map(\.entry.step) == [2, 3])
  }
}
