internal import CheckpointEngine
internal import CommandLineTool

/// Looks at what a power cut left of a store.
struct Checker {
  let path: String
  /// What was acknowledged, and not given up to retention, before the cut.
  var acknowledged: SavedSet
  /// Every save that had begun before the cut.
  ///
  /// A generation that did not survive may be given out again.
  var attempted: SavedSet
  let keptCount: Int?
  /// Whether to go on from there, which needs room.
  let savesAgain: Bool

  /// Something that must not be.
  struct Violation: Error { let text: String }

  /// Prints the verdict.
  func reportLine() -> ExitStatus {
    do {
      StandardStreams.writeOutput("ok " + (try check()))
      return .success
    } catch let violation as Violation {
      StandardStreams.writeOutput("violation " + violation.text)
    } catch {
      StandardStreams.writeOutput(
        "violation " + "\(error)".replacing("\n", with: " "))
    }
    return .failure
  }

  private func check() throws -> String {
    let found = try checkReading()
    guard savesAgain else { return "found \(found)" }
    let generation = try goOn()
    var later = self
    // Retention may have taken the others.
    if keptCount != nil { later.acknowledged.steps = [:] }
    later.acknowledged.steps[generation] = Self.laterStep
    later.attempted.steps[generation] = Self.laterStep
    try later.requireNewest(generation)
    return "found \(found), went on with \(generation)"
  }

  /// The generation that a reader recovers, after everything in the store was verified.
  private func checkReading() throws -> UInt64 {
    let store: CheckpointStore
    do {
      store = try CheckpointStore(path, for: .reading, options: options)
    } catch {
      guard error.code == .notFound else { throw error }
      guard acknowledged.steps.isEmpty else { throw Violation(text: "the directory is gone") }
      return 0
    }
    let entries = try store.entries()
    for entry in entries { try check(entry, in: store) }
    let present = Set(entries.compactMap(\.generation))
    for generation in acknowledged.steps.keys.sorted() where !present.contains(generation) {
      throw Violation(text: "generation \(generation) was acknowledged and is gone")
    }
    guard let recovery = try store.recover() else { return 0 }
    guard recovery.skipped.isEmpty else { throw Violation(text: "recovery passed something over") }
    return recovery.reader.header.generation
  }

  private func check(_ entry: StoreEntry, in store: CheckpointStore) throws {
    if let problem = entry.problem {
      throw Violation(text: "a broken file has a checkpoint's name: \(problem.message)")
    }
    let reader = try store.open(entry)
    if let finding = reader.verify(.full).findings.first {
      throw Violation(text: "a broken file has a checkpoint's name: \(finding.message)")
    }
    guard attempted.steps[reader.header.generation] == reader.header.step else {
      throw Violation(text: "\(entry.name) was never saved")
    }
    if let problem = try Payload.problem(in: reader) {
      throw Violation(text: "\(entry.name): \(problem)")
    }
  }

  /// Resumes, finishes what was owed, saves and retains; the generation that was acknowledged.
  private func goOn() throws -> UInt64 {
    let store = try CheckpointStore(path, for: .writing, options: options)
    if let recovery = try store.recover() {
      store.continueRun(from: recovery.reader, choice: .automatic)
      if let keptCount { try requireCalm(store.finishRetention(.last(keptCount))) }
    }
    let plan = try Payload.plan(step: Self.laterStep, byteCount: 2_000)
    let receipt = try store.save(plan, step: Self.laterStep) { sink in
      for name in ["weight", "moment"] {
        let bytes = Payload.bytes(of: name, step: Self.laterStep, byteCount: 1_000)
        try sink.append(bytes.rawSpan)
      }
    }
    guard receipt.generation > acknowledged.steps.keys.max() ?? 0 else {
      throw Violation(text: "generation \(receipt.generation) was given out again")
    }
    if let keptCount { try requireCalm(store.retain(last: keptCount)) }
    return receipt.generation
  }

  private func requireCalm(_ report: RetentionReport) throws {
    if let warning = report.warnings.first { throw Violation(text: "retention: \(warning)") }
  }

  private func requireNewest(_ generation: UInt64) throws {
    guard try checkReading() == generation else {
      throw Violation(text: "the save after it is not the newest")
    }
    let directory = try StoreDirectory.open(path, on: options.device)
    if let name = try directory.names().first(where: { $0.hasSuffix(".tmp") }) {
      throw Violation(text: "\(name) was not cleaned up")
    }
  }

  private var options: StoreOptions { StoreOptions(chunkByteCount: 16384, threads: 1) }

  private static let laterStep: UInt64 = 999_999
}
