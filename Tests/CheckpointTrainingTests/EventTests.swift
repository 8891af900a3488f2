import CheckpointStorage
import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: whoever listens is told everything that happens to checkpoints, in order and once, on whichever
// thread, and nobody waits for a listener that does not fetch.
@Suite("Events")
struct EventTests {
  private let disk = SimulatedDisk()

  /// Events in words.
  private final class Log: Sendable {
    private let lines = Protected<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    func note(_ event: CheckpointEvent) {
      lines.withLock { $0.append(EventTests.word(event)) }
    }
  }

  private static func word(_ event: CheckpointEvent) -> String {
    switch event {
    case .resumed(let result): "resumed \(result.checkpoint.map { "\($0.step)" } ?? "afresh")"
    case .saveStarted(let step, let count, let isInBackground):
      "started \(step) \(count)\(isInBackground ? " behind" : "")"
    case .copied(let step, let count, let blocked): "copied \(step) \(count) \(blocked > .zero)"
    case .progressed(let step, let count, let total): "progressed \(step) \(count)/\(total)"
    case .saved(let receipt): "saved \(receipt.step)"
    case .failed(let step, let error): "failed \(step) \(error.code)"
    case .waitsForSpace(let step, _, _): "waits \(step)"
    case .removed(let path): "removed \(path.suffix(12))"
    case .setAside(let path): "set aside \(path.suffix(12))"
    case .postponed(let step): "postponed \(step)"
    case .skipped(let step): "skipped \(step)"
    case .stopRequested(let reason): "stop \(reason)"
    case .warning(let text): "warning \(text.prefix(20))"
    case .warmStarted(let path, let report): "warm \(path.suffix(12)) \(report.restored.count)"
    }
  }

  @Test func aRunIsToldFromItsBeginningToItsEnd() throws {
    let log = Log()
    let manager = try disk.manager(keeping: .last(1), stopping: StopPolicy(after: .seconds(3600)))
    manager.onEvent { log.note($0) }
    var trainer = ToyTrainer()
    try manager.resume(&trainer, from: .latest)
    try manager.stepCompleted(1, state: trainer)
    disk.faultPlan = FaultPlan([.init(.write, .error(EIO), .always)])
    try manager.stepCompleted(2, state: trainer)
    disk.faultPlan = FaultPlan()
    try manager.stepCompleted(3, state: trainer)
    disk.device.timeSource.sleep(3_600_000_000_000)
    try manager.stepCompleted(3, state: trainer)
    let progress = [96, 192].map { "\($0)/192" }
    #expect(
      log.all == [
        "resumed afresh", "started 1 192", "progressed 1 \(progress[0])",
        "progressed 1 \(progress[1])", "saved 1", "started 2 192", "failed 2 io", "started 3 192",
        "progressed 3 \(progress[0])", "progressed 3 \(progress[1])", "saved 3",
        "removed g000001.ckpt", "stop timeLimit",
      ])
  }

  @Test func aSaveInTheBackgroundIsToldByItsThread() throws {
    let log = Log()
    let manager = try disk.manager(mode: .background())
    manager.onEvent { log.note($0) }
    try manager.stepCompleted(1, state: ToyTrainer())
    try manager.finish()
    let lines = log.all
    #expect(lines.first == "started 1 192 behind")
    // The thread may be ahead of the one that trains.
    #expect(lines.filter { $0 == "copied 1 192 true" }.count == 1)
    #expect(lines.filter { !$0.hasPrefix("copied") }.last == "saved 1")
  }

  @Test func progressIsToldAtMostAHundredTimes() throws {
    let log = Log()
    let state = ScriptedState(onSave: { state in
      for number in 0..<1000 { try state.tensor("t\(number)", [Float](repeating: 1, count: 10)) }
    })
    let manager = try disk.manager()
    manager.onEvent { log.note($0) }
    try manager.saved(state, step: 1)
    let progress = log.all.filter { $0.hasPrefix("progressed") }
    #expect((90...101).contains(progress.count) && progress.last == "progressed 1 40000/40000")
    // A last tensor that is less than a hundredth, and a state of a few bytes.
    for sizes in [[1000, 1], [1, 1, 1], [0], [199]] {
      let log = Log()
      let state = ScriptedState(onSave: { state in
        for (number, size) in sizes.enumerated() {
          try state.tensor("t\(number)", [UInt8](repeating: 1, count: size))
        }
      })
      let manager = try SimulatedDisk().manager()
      manager.onEvent { log.note($0) }
      try manager.saved(state, step: 1)
      let progress = log.all.filter { $0.hasPrefix("progressed") }
      let total = sizes.reduce(0, +)
      #expect(progress.count <= 101)
      #expect(progress.last == (total == 0 ? nil : "progressed 1 \(total)/\(total)"))
    }
  }

  @Test func streamsEndWithTheRunAndKeepTheNewest() async throws {
    func run() throws -> [AsyncStream<CheckpointEvent>] {
      let manager = try disk.manager()
      let streams = [manager.eventStream(), manager.eventStream()]
      for step in 1...600 { try manager.stepCompleted(step, state: ToyTrainer()) }
      try manager.finish()
      return streams
    }
    for stream in try run() {
      var words: [String] = []
      for await event in stream { words.append(Self.word(event)) }
      #expect(words.count == 1024 && words.last == "saved 600")
    }
  }

  @Test func aStreamEndsWithAManagerThatIsReleased() async throws {
    func stream() throws -> AsyncStream<CheckpointEvent> {
      let manager = try disk.manager()
      return manager.eventStream()
    }
    for await _ in try stream() { Issue.record("nothing happened") }
  }

  @Test func whatIsPostponedSkippedOrSetAsideIsTold() throws {
    let gate = Gate(disk.device.backend)
    let real = disk.device
    let device = StorageDevice(
      backend: gate, timeSource: real.timeSource, randomBits: real.randomBits)
    for (rule, word) in [(SaveMode.BusyRule.skip, "skipped 2"), (.postpone, "postponed 2")] {
      let log = Log()
      let manager = try CheckpointManager(
        directory: "/\(word.prefix(4))", saving: .every(steps: 1),
        mode: .background(whenBusy: rule),
        options: .plain(on: device))
      manager.onEvent { log.note($0) }
      gate.close(after: 0)
      try manager.stepCompleted(1, state: ToyTrainer())
      gate.waitUntilReached()
      try manager.stepCompleted(2, state: ToyTrainer())
      gate.open()
      try manager.finish(saving: ToyTrainer(), step: 3)
      #expect(log.all.filter { $0 == word }.count == 1)
    }
    try disk.train(2)
    try disk.damage(checkpointPath(step: 2, generation: 2))
    let log = Log()
    let manager = try disk.manager()
    manager.onEvent { log.note($0) }
    var trainer = ToyTrainer()
    let result = try manager.resume(&trainer, from: .latest, damaged: .setAside)
    #expect(result.setAside == [checkpointPath(step: 2, generation: 2) + ".damaged"])
    #expect(log.all == ["set aside g000002.ckpt", "resumed 1"])
    // Nothing is passed over any more, and the generation is spent.
    var again = ToyTrainer()
    #expect(try manager.resume(&again, from: .latest).skipped.isEmpty)
    #expect(try manager.saved(again, step: 2).generation == 3)
  }
}
