internal import CheckpointEngine
internal import CheckpointFormat

/// What a checkpoint must fulfil to be restored.
struct RestoreTerms {
  let strictness: RestoreStrictness
  let contract: ResumeContract
  let check: ResumeCheck

  /// Throws `.incompatibleState` if the contract of a checkpoint differs too much.
  func requireContract(_ reader: CheckpointReader) throws(CheckpointError) {
    let limit: ResumeContract.Grade = check == .strict ? .changesTrajectory : .refuse
    let refused = contract.compared(with: reader.metadata).filter { $0.grade >= limit }
    guard !refused.isEmpty else { return }
    let lines = refused.map { difference in
      "  \(escaped(difference.name)): \(escaped(difference.saved ?? "")) → "
        + "\(escaped(difference.current ?? "")) (\(difference.grade.text))"
    }
    throw CheckpointError(
      .incompatibleState,
      "\(escaped(reader.path)) was saved under other circumstances, and nothing was restored:\n"
        + lines.joined(separator: "\n"),
      at: CheckpointError.Location(path: reader.path))
  }
}

/// Restores one trainer, from another candidate if the first turns out to be damaged on the way.
final class Restoration {
  /// What the trainer would have saved before anything was restored.
  private let plan: SavePlan
  private let terms: RestoreTerms
  /// What failed attempts may have changed in the trainer, and the file it came from.
  private var spoiled: (path: String, tensors: Set<StateName>, values: Set<StateName>)?

  init(of trainer: some Checkpointable, _ terms: RestoreTerms) throws {
    plan = try StatePlanning.plan(trainer)
    self.terms = terms
  }

  /// Compares program and checkpoint before a tensor byte is read.
  func check(_ reader: CheckpointReader) throws(CheckpointError) {
    try checkState(reader)
    try terms.requireContract(reader)
  }

  /// Compares the state alone.
  func checkState(_ reader: CheckpointReader) throws(CheckpointError) {
    switch terms.strictness {
    case .exact: try StateComparison.requireMatch(plan, reader)
    case .partial: try StateComparison.requireNotNewer(plan, reader)
    }
  }

  /// Restores a checkpoint that was checked, and makes sure that nothing was forgotten.
  func restore<Trainer: Checkpointable>(
    _ trainer: inout Trainer, from reader: CheckpointReader
  ) throws {
    let usage = StateUsage()
    do {
      try trainer.restore(from: StateReader(reader, usage: usage))
      // A trainer that passes over an error of reading has not restored what it asked for.
      if let failure = usage.failure { throw failure }
    } catch {
      spoiled = (
        reader.path, usage.begunTensors.union(spoiled?.tensors ?? []),
        usage.values.union(spoiled?.values ?? [])
      )
      throw error
    }
    if terms.strictness == .exact { try StateComparison.requireComplete(usage, plan, reader) }
    try requireReplaced(by: usage, reader)
  }

  /// Throws if something of a damaged candidate is still in the trainer.
  private func requireReplaced(
    by usage: StateUsage, _ reader: CheckpointReader
  ) throws(CheckpointError) {
    guard let spoiled else { return }
    let left =
      spoiled.tensors.subtracting(usage.tensors).map(\.text)
      + spoiled.values.subtracting(usage.values).map(\.text)
    guard let example = left.min() else { return }
    throw CheckpointError(
      .incompatibleState,
      "\(escaped(spoiled.path)) turned out to be damaged while it was restored, and "
        + "\(escaped(reader.path)) does not restore all that had come from it, for example "
        + "'\(escaped(example))'. The trainer must not go on: make it anew, and resume from "
        + "\(escaped(reader.path)) by its path.",
      at: CheckpointError.Location(path: reader.path))
  }
}
