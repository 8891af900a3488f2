import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a loop that adopts the library as the page shows goes on bit for bit, its averages and its
// own state included, and each mistake that the page lists has the consequence it names.
// Method: the page's program is trained with and without stops, and digests and parts are compared;
// then variants with one mistake each.
extension HowToTests {
  @Test func aStopInTheMiddleChangesNothing() throws {
    let whole = try fit(to: 60, stoppingAt: [], on: SimulatedDisk().device)
    let parts = try fit(to: 60, stoppingAt: [3, 16, 17, 41], on: SimulatedDisk().device)
    #expect(try stateDigest(of: parts) == stateDigest(of: whole))
    #expect(bits(parts.weights) == bits(whole.weights))
    #expect(bits(parts.average.shadow) == bits(whole.average.shadow))
    #expect(parts.average.updates == 60)
    #expect(parts.stopping.failures == whole.stopping.failures)
    #expect(parts.stopping.losses.map(\.bitPattern) == whole.stopping.losses.map(\.bitPattern))
    #expect((parts.epoch, parts.batch) == (7, 4))
    // Resumed, and not a step further.
    let resumed = try fit(to: 41, stoppingAt: [16, 41], on: SimulatedDisk().device)
    #expect(resumed.stopping.failures == 1)
    // If these were still as at the start, the comparison would say little about them.
    #expect(whole.stopping.failures > 0)
    #expect(whole.stopping.losses.count == 7)
    #expect(whole.schedule.rate < 0.1)
    #expect(bits(whole.average.shadow) != bits(whole.weights))
  }

  @Test func averagesAndUserStateComeBackBitForBit() throws {
    var before = Fit()
    for _ in 0..<11 { before.trainBatch() }
    before.average = ExponentialMovingAverage(
      of: [-0.0, .infinity, Float(bitPattern: 0x7fc0_1234)] + before.weights.dropFirst(3),
      decay: 0.1 + 0.2)
    before.average.update(with: before.weights)
    before.stopping.losses = [
      .infinity, -0.0, 0.1 + 0.2, Double(bitPattern: 0x7ff8_0000_0000_0001), .leastNonzeroMagnitude,
    ]
    before.stopping.failures = 3
    before.tokenizer.vocabulary = ["ä", "\"", "\n", ""]
    let after = try throughACheckpoint(before, into: Fit())
    #expect(bits(after.average.shadow) == bits(before.average.shadow))
    #expect(after.average.updates == before.average.updates)
    #expect(after.average.decay.bitPattern == before.average.decay.bitPattern)
    #expect(after.stopping.failures == 3)
    #expect(after.stopping.losses.map(\.bitPattern) == before.stopping.losses.map(\.bitPattern))
    #expect(after.tokenizer == before.tokenizer)
    #expect(try stateDigest(of: after) == stateDigest(of: before))
  }

  @Test func aForgottenGeneratorChangesTheDigest() throws {
    let whole = try trained({ Forgetful(\.noise) }, to: 20, stoppingAt: [])
    let parts = try trained({ Forgetful(\.noise) }, to: 20, stoppingAt: [11])
    #expect(try stateDigest(of: parts) != stateDigest(of: whole))
  }

  @Test func aForgottenAverageIsNotFoundByTheDigestAlone() throws {
    let whole = try trained({ Forgetful(\.average) }, to: 20, stoppingAt: [])
    let parts = try trained({ Forgetful(\.average) }, to: 20, stoppingAt: [11])
    #expect(try stateDigest(of: parts) == stateDigest(of: whole))
    #expect(bits(parts.fit.average.shadow) != bits(whole.fit.average.shadow))
  }

  @Test func momentsAllocatedLazilyAreRefused() throws {
    let trained = Lazy(moments: [1, 2, 3])
    let error = #expect(throws: CheckpointError.self) {
      try throughACheckpoint(trained, into: Lazy())
    }
    #expect(error?.code == .incompatibleState)
    #expect(try throughACheckpoint(trained, into: Lazy(moments: [0, 0, 0])).moments == [1, 2, 3])
  }

  @Test func partsNumberedInTheOrderOfADictionaryChangePlaces() throws {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"]
    let values = zip(names, 1...).map { (key: $0, value: [Float($1)]) }
    let trained = Dictionary(uniqueKeysWithValues: values)
    // The order depends on the process, and on the capacity as well.
    let other = try #require(
      (4...16).lazy.map { exponent -> [String: [Float]] in
        var heads = [String: [Float]](minimumCapacity: 1 << exponent)
        for name in names { heads[name] = [0] }
        return heads
      }.first { Array($0.keys) != Array(trained.keys) })
    let mixed = try throughACheckpoint(Numbered(heads: trained), into: Numbered(heads: other))
    #expect(mixed.heads != trained)
    let right = try throughACheckpoint(Named(heads: trained), into: Named(heads: other))
    #expect(right.heads == trained)
  }
}

private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

private func throughACheckpoint<State: Checkpointable>(
  _ state: State, into fresh: State
) throws -> State {
  let options = StoreOptions(device: SimulatedDisk().device)
  try CheckpointManager(directory: "/run", saving: .manual, options: options).save(state, step: 1)
  var restored = fresh
  let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
  try manager.resume(&restored, from: .latest)
  return restored
}

/// As the page's function, for programs with a mistake.
private func trained(
  _ make: () -> Forgetful, to lastStep: Int, stoppingAt stops: [Int]
) throws -> Forgetful {
  let options = StoreOptions(device: SimulatedDisk().device)
  var model = make()
  for stop in stops + [lastStep] {
    model = make()
    let manager = try CheckpointManager(directory: "/run", saving: .manual, options: options)
    try manager.resume(&model, from: .latest)
    while model.fit.step < stop { model.fit.trainBatch() }
    try manager.finish(saving: model, step: model.fit.step)
  }
  return model
}

/// A program that saves one of its parts as it was at the start, which is as good as not at all.
private struct Forgetful: Checkpointable {
  var fit = Fit()
  let forget: (inout Fit) -> Void

  init<Part>(_ part: WritableKeyPath<Fit, Part>) {
    forget = { $0[keyPath: part] = Fit()[keyPath: part] }
  }

  func save(to state: inout StateWriter) throws {
    var known = fit
    forget(&known)
    try known.save(to: &state)
  }

  mutating func restore(from state: StateReader) throws { try fit.restore(from: state) }
}

private struct Lazy: Checkpointable {
  var moments: [Float] = []

  func save(to state: inout StateWriter) throws { try state.tensor("moments", moments) }

  mutating func restore(from state: StateReader) throws {
    moments = try state.tensor("moments")
  }
}

private struct Numbered: Checkpointable {
  var heads: [String: [Float]]

  func save(to state: inout StateWriter) throws {
    for (number, head) in heads.values.enumerated() { try state.tensor("heads/\(number)", head) }
  }

  mutating func restore(from state: StateReader) throws {
    for (number, name) in Array(heads.keys).enumerated() {
      heads[name] = try state.tensor("heads/\(number)")
    }
  }
}

private struct Named: Checkpointable {
  var heads: [String: [Float]]

  func save(to state: inout StateWriter) throws {
    for (name, head) in heads.sorted(by: { $0.key < $1.key }) {
      try state.tensor("heads/\(name)", head)
    }
  }

  mutating func restore(from state: StateReader) throws {
    for name in heads.keys.sorted() { heads[name] = try state.tensor("heads/\(name)") }
  }
}
