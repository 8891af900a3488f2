// snippet: adopt-in-an-existing-loop
import CheckpointTraining

struct Fit: Checkpointable {
  var step = 0
  var epoch = 0
  var batch = 0  // the next one of this epoch
  var lossSum = 0.0  // of this epoch so far
  var weights = [Float](repeating: 0, count: 64)
  var optimizer = Adam(count: 64)  // two moments, and the count of updates
  var average = ExponentialMovingAverage(of: [Float](repeating: 0, count: 64), decay: 0.98)
  var schedule = PlateauSchedule()  // the learning rate, halved when an epoch did not help
  var noise = SplitMix64(state: 7)  // a random generator
  var stopping = EarlyStopping()  // failures in a row, and the loss of each epoch
  var tokenizer = TokenizerConfiguration()  // Codable

  func save(to state: inout StateWriter) throws {
    try state.value("step", step)
    try state.value("epoch", epoch)
    try state.value("batch", batch)
    try state.value("loss_sum", lossSum)
    try state.tensor("weights", weights)
    try state.scope("optimizer", optimizer)
    try state.scope("average", average)
    try state.scope("schedule", schedule)
    try state.scope("noise", noise)
    try state.scope("stopping", stopping)
    try state.codable("tokenizer", tokenizer)
  }

  mutating func restore(from state: StateReader) throws {
    step = try state.value("step")
    epoch = try state.value("epoch")
    batch = try state.value("batch")
    lossSum = try state.value("loss_sum")
    try state.tensor("weights", into: &weights)
    try state.scope("optimizer", &optimizer)
    try state.scope("average", &average)
    try state.scope("schedule", &schedule)
    try state.scope("noise", &noise)
    try state.scope("stopping", &stopping)
    tokenizer = try state.codable("tokenizer")
  }
}
// end of snippet

// snippet: adopt-in-an-existing-loop
extension EarlyStopping: Checkpointable {
  func save(to state: inout StateWriter) throws {
    try state.value("failures", failures)
    try state.codable("losses", losses.map(\.bitPattern))
  }

  mutating func restore(from state: StateReader) throws {
    failures = try state.value("failures")
    losses = try state.codable("losses", as: [UInt64].self).map(Double.init(bitPattern:))
  }
}
// end of snippet

// snippet: adopt-in-an-existing-loop
/// The weights, averaged over the steps so far; the latest count most.
struct ExponentialMovingAverage: Checkpointable {
  private(set) var shadow: [Float]
  private(set) var updates = 0
  private(set) var decay: Double

  init(of weights: [Float], decay: Double) {
    shadow = weights
    self.decay = decay
  }

  mutating func update(with weights: [Float]) {
    updates += 1
    // A young average forgets faster, so that it does not stick to the initial weights.
    let kept = Float(min(decay, Double(1 + updates) / Double(10 + updates)))
    for index in shadow.indices {
      shadow[index] = kept * shadow[index] + (1 - kept) * weights[index]
    }
  }

  func save(to state: inout StateWriter) throws {
    try state.tensor("shadow", shadow)
    try state.value("updates", updates)
    try state.value("decay", decay)
  }

  mutating func restore(from state: StateReader) throws {
    try state.tensor("shadow", into: &shadow)
    updates = try state.value("updates")
    decay = try state.value("decay")
  }
}
// end of snippet

// snippet: adopt-in-an-existing-loop
/// Trains to `lastStep`, stopping on the way as often as there are `stops`.
func fit(to lastStep: Int, stoppingAt stops: [Int], on device: StorageDevice) throws -> Fit {
  var fit = Fit()
  for stop in stops + [lastStep] {
    fit = Fit()  // a process begins with nothing but its arguments
    let manager = try CheckpointManager(
      directory: "/fit", saving: .manual, options: StoreOptions(device: device))
    try manager.resume(&fit, from: .latest)
    while fit.step < stop { fit.trainBatch() }
    try manager.finish(saving: fit, step: fit.step)
  }
  return fit
}
// end of snippet

// The program that the page begins with, before there were checkpoints in it.

extension Fit {
  static let batchCount = 8  // of an epoch

  mutating func trainBatch() {
    var gradient = weights
    for index in weights.indices {
      let target = Float(index) / 64 + Float(noise.next() >> 40) / Float(1 << 24) - 0.5
      gradient[index] = weights[index] - target
    }
    optimizer.update(&weights, gradient, rate: Float(schedule.rate))
    average.update(with: weights)
    lossSum += Double(gradient.reduce(0) { $0 + $1 * $1 })
    step += 1
    batch += 1
    guard batch == Fit.batchCount else { return }
    stopping.observe(lossSum)
    if stopping.failures > 0 { schedule.rate *= 0.5 }
    (epoch, batch, lossSum) = (epoch + 1, 0, 0)
  }
}

struct Adam: Checkpointable {
  var updates = 0
  var first: [Float]
  var second: [Float]

  init(count: Int) {
    first = [Float](repeating: 0, count: count)
    second = first
  }

  mutating func update(_ weights: inout [Float], _ gradient: [Float], rate: Float) {
    updates += 1
    var (bias1, bias2) = (Float(1), Float(1))  // the share of the zeros that they began with
    for _ in 0..<updates { (bias1, bias2) = (bias1 * 0.9, bias2 * 0.999) }
    for index in weights.indices {
      first[index] = 0.9 * first[index] + 0.1 * gradient[index]
      second[index] = 0.999 * second[index] + 0.001 * gradient[index] * gradient[index]
      let scale = (second[index] / (1 - bias2)).squareRoot() + 1e-8
      weights[index] -= rate * first[index] / (1 - bias1) / scale
    }
  }

  func save(to state: inout StateWriter) throws {
    try state.value("updates", updates)
    try state.tensor("first", first)
    try state.tensor("second", second)
  }

  mutating func restore(from state: StateReader) throws {
    updates = try state.value("updates")
    try state.tensor("first", into: &first)
    try state.tensor("second", into: &second)
  }
}

struct PlateauSchedule: Checkpointable {
  var rate = 0.1

  func save(to state: inout StateWriter) throws { try state.value("rate", rate) }
  mutating func restore(from state: StateReader) throws { rate = try state.value("rate") }
}

/// A random generator that a seed decides; its whole state is one number.
struct SplitMix64: Checkpointable {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }

  func save(to state: inout StateWriter) throws { try state.value("state", self.state) }
  mutating func restore(from state: StateReader) throws { self.state = try state.value("state") }
}

struct EarlyStopping {
  var failures = 0  // epochs in a row that were no better than the best before
  var losses: [Double] = []  // of each epoch

  mutating func observe(_ loss: Double) {
    failures = loss < losses.min() ?? .infinity ? 0 : failures + 1
    losses.append(loss)
  }
}

struct TokenizerConfiguration: Codable, Equatable {
  var vocabulary = ["a", "b", "c"]
  var lowercases = true
}
