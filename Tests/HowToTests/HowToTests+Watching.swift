import CheckpointTesting
import CheckpointTraining
import Foundation
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// Goal: the page's log, bar, counters and stream tell what happened to checkpoints, on the threads that it
// names, and nobody waits for a stream.
// Method: small runs with failing and waiting saves on simulated disks; the exporter on a real file.
extension HowToTests {
  @Test func logLinesAndABarTellOfARun() throws {
    let disk = SimulatedDisk()
    let manager = try manager(on: disk, keeping: .last(1))
    let lines = Notes()
    let bars = Notes()
    manager.onEvent { event in
      if let line = logLine(event) { lines.add(line) }
      if let bar = progressBar(event) { bars.add(bar) }
    }
    tell(of: manager)
    var trainer = Trainer()
    try manager.resume(&trainer, from: .latest)
    try manager.stepCompleted(1, state: trainer)
    disk.faultPlan = FaultPlan([.init(.write, .error(EIO), .always)])
    try manager.stepCompleted(2, state: trainer)
    disk.faultPlan = FaultPlan()
    try manager.stepCompleted(3, state: trainer)
    let known = lines.all.map { $0.prefix(16) }
    #expect(
      known == [
        "begins afresh", "saved step 1 in ", "step 2 was not s", "saved step 3 in ",
        "removed /run/ste",
      ])
    #expect(
      bars.all.first == "\rsaving step 1 [\(String(repeating: "#", count: 20))"
        + "\(String(repeating: ".", count: 20))]")
    #expect(bars.all.last == "\rsaving step 3 [\(String(repeating: "#", count: 40))]\n")
    try manager.finish()
    var resumed = Trainer()
    try manager.resume(&resumed, from: .latest)
    #expect(lines.all.last == "resumed after step 3")
  }

  @Test func aWaitIsToldAsItBegins() throws {
    let disk = SimulatedDisk()
    let space = SpacePolicy(whenFull: .wait(every: .seconds(10), atMost: .seconds(15)))
    let manager = try manager(on: disk, space: space)
    let lines = Notes()
    manager.onEvent { event in if let line = logLine(event) { lines.add(line) } }
    disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
    try manager.stepCompleted(1, state: Trainer())
    #expect(lines.all.filter { $0.hasPrefix("step 1 has waited ") }.count == 2)
    #expect(lines.all.last?.hasPrefix("step 1 was not saved: ") == true)
  }

  @Test(arguments: [SaveMode.blocking, .background()])
  func countersAndTheLastSaveAreExported(mode: SaveMode) throws {
    let disk = SimulatedDisk()
    let manager = try manager(on: disk, mode: mode, keeping: .last(1), checking: .finite)
    let metrics = SaveMetrics()
    manager.onEvent { metrics.note($0) }
    var trainer = Trainer()
    try manager.stepCompleted(1, state: trainer)
    trainer.weights[0] = .nan
    try manager.stepCompleted(2, state: trainer)
    trainer.weights[0] = 0
    try manager.finish(saving: trainer, step: 3)
    let newest = try #require(
      try CheckpointStore("/run", for: .reading, options: StoreOptions(device: disk.device))
        .recover()
    ).reader
    let lines = metrics.text.split(separator: "\n")
    #expect(
      lines.filter { $0.contains("_total ") && !$0.hasPrefix("#") } == [
        "checkpoint_failed_total 0", "checkpoint_removed_total 2", "checkpoint_saved_total 3",
        "checkpoint_unhealthy_total 1",
      ])
    #expect(lines.contains("checkpoint_last_bytes \(Double(newest.byteCount))"))
    #expect(lines.contains("checkpoint_last_step 3.0"))
    let blocked = try #require(lines.first { $0.hasPrefix("checkpoint_last_blocked_seconds ") })
    #expect((blocked.split(separator: " ").last != "0.0") == (mode != .blocking))
    // Each line is a comment, or a name and a number.
    #expect(lines.count == 16)
    for line in lines where !line.hasPrefix("# TYPE checkpoint_") {
      let parts = line.split(separator: " ")
      #expect(parts.count == 2 && Double(parts[1]) != nil)
    }
  }

  @Test func handlersAreCalledOnTheThreadThatTrainsOrThatSaves() throws {
    for mode in [SaveMode.blocking, .background()] {
      let manager = try manager(on: SimulatedDisk(), mode: mode)
      let isMine = Notes()
      let training = ObjectIdentifier(Thread.current)
      manager.onEvent { event in
        guard case .saved = event else { return }
        let own = ObjectIdentifier(Thread.current)
        isMine.add("\(own == training)")
      }
      try manager.stepCompleted(1, state: Trainer())
      try manager.finish()
      #expect(isMine.all == ["\(mode == .blocking)"])
    }
  }

  @Test func aStreamIsExportedAndEndsWithTheRun() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(
      path: "checkpoint-how-to-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }  // what stays is temporary
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let path = directory.appending(path: "train.prom").path
    let trainer = Trainer()
    let manager = try manager(on: SimulatedDisk())
    let exporter = export(manager.eventStream(), to: path)
    for step in 1...10 { try manager.stepCompleted(step, state: trainer) }
    try manager.finish()
    try await exporter.value
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains("\ncheckpoint_saved_total 10\n"))
    #expect(text.contains("\ncheckpoint_last_step 10.0\n"))
  }

  @Test func nobodyWaitsForAStreamAndTheNewestAreKept() async throws {
    let manager = try manager(on: SimulatedDisk(), keeping: .last(1))
    let stream = manager.eventStream()
    let small = Optimizer()
    for step in 1...400 { try manager.stepCompleted(step, state: small) }
    try manager.finish()
    var events: [CheckpointEvent] = []
    for await event in stream { events.append(event) }
    #expect(events.count == 1024)
    guard case .removed = events.last else { throw KeepsOne.NotSaved() }
  }

  private func manager(
    on disk: SimulatedDisk, mode: SaveMode = .blocking, keeping: RetentionPolicy = .all,
    checking health: HealthPolicy = .none, space: SpacePolicy = SpacePolicy()
  ) throws -> CheckpointManager {
    try CheckpointManager(
      directory: "/run", saving: .every(steps: 1), mode: mode, keeping: keeping,
      checking: health, space: space, options: StoreOptions(device: disk.device, threads: 1))
  }
}

/// What was told, from whichever thread.
private final class Notes: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ line: String) { lines.withLock { $0.append(line) } }
}
