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
  private let description: StateDescription
  private let strictness: RestoreStrictness
  /// What of the trainer stays, or may.
  private let live: LiveState?
  /// What was compared last: it is compared before it is restored.
  private var compared: (reader: CheckpointReader, offer: StateOffer)?
  /// What failed attempts may have changed in the trainer, and the file it came from.
  private var spoiled: (path: String, usages: [StateUsage])?

  private var plan: SavePlan { description.plan }

  /// - Parameters:
  ///   - trainer: Is asked what it would save.
  ///   - strictness: How much is restored.
  ///   - known: The trainer's answer, if it was asked already.
  /// - Throws: What the trainer's `save(to:)` throws.
  init(
    of trainer: some Checkpointable, _ strictness: RestoreStrictness,
    _ known: StateDescription? = nil
  ) throws {
    description = try known ?? StatePlanning.describe(trainer)
    self.strictness = strictness
    let plan = description.plan
    if let selection = strictness.selection, strictness.isLenient || !selection.isEverything {
      live = try LiveState(of: trainer, plan) { [strictness] name in
        strictness.isLenient || !selection.contains(name)
      }
    } else {
      live = nil
    }
  }

  /// Compares program and checkpoint before a tensor byte is read.
  func check(_ reader: CheckpointReader) throws(CheckpointError) {
    _ = try offer(reader)
  }

  /// What a checkpoint has for the trainer, migrated and compared.
  private func offer(_ reader: CheckpointReader) throws(CheckpointError) -> StateOffer {
    if let compared, compared.reader === reader { return compared.offer }
    let offer = try newOffer(reader)
    compared = (reader, offer)
    return offer
  }

  private func newOffer(_ reader: CheckpointReader) throws(CheckpointError) -> StateOffer {
    var table = StateTable(reader)
    // Of a part, only the versions of that matter.
    if live == nil { try StateComparison.requireNotNewer(plan, table) }
    try description.migrations.apply(to: &table, where: wantedScopes(table))
    var offer = StateOffer(table)
    guard let selection = strictness.selection else { return offer }
    let isSame: Bool
    if let live {
      try offer.narrow(to: selection, plan, live, isLenient: strictness.isLenient)
      isSame = offer.table.tensors.equal(plan)
    } else {
      // As a rule all tensors are there: then only values need to be looked up.
      isSame = table.tensors.equal(plan)
      let count = isSame ? plan.entries.count : 0
      let names = plan.stateNames
      offer.report.restored = names[..<count] + names[count...].filter { table.contains($0) }
    }
    try StateComparison.requireMatch(plan, offer.table, haveSameTensors: isSame)
    return offer
  }

  /// Which scopes hold something that is wanted, in the checkpoint or in the program.
  private func wantedScopes(_ table: StateTable) -> (String) -> Bool {
    guard live != nil, let selection = strictness.selection else { return { _ in true } }
    let wanted = Set((table.names + plan.stateNames).filter(selection.contains).flatMap(\.scopes))
    return wanted.contains
  }

  /// Restores a checkpoint that was checked, and makes sure that nothing was forgotten.
  ///
  /// - Returns: What was restored; nil where that was up to `restore(from:)`.
  func restore<Trainer: Checkpointable>(
    _ trainer: inout Trainer, from reader: CheckpointReader
  ) throws -> RestoreReport? {
    let offer = try offer(reader)
    let usage = StateUsage()
    do {
      try trainer.restore(from: StateReader(offer.table, usage: usage))
      // A trainer that passes over an error of reading has not restored what it asked for.
      if let failure = usage.failure { throw failure }
    } catch {
      note(usage, of: reader)
      throw error
    }
    if strictness.selection != nil {
      try StateComparison.requireComplete(usage, plan, offer.table, besides: offer.left)
    }
    try requireReplaced(by: usage, reader)
    // Should it turn out that the trainer must not go on with it.
    note(usage, of: reader)
    return strictness.selection == nil ? nil : offer.report
  }

  /// Notes what an attempt may have changed in the trainer.
  private func note(_ usage: StateUsage, of reader: CheckpointReader) {
    spoiled = (reader.path, (spoiled?.usages ?? []) + [usage])
  }

  /// Throws if something of a candidate that was given up is still in the trainer.
  private func requireReplaced(
    by usage: StateUsage, _ reader: CheckpointReader
  ) throws(CheckpointError) {
    guard let spoiled else { return }
    let (tensors, values) = (usage.tensors.names, usage.values)
    let left = spoiled.usages.flatMap { begun in
      begun.begunTensors.names.subtracting(tensors).map(\.text)
        + begun.values.subtracting(values).map(\.text)
    }
    guard let example = left.min() else { return }
    throw CheckpointError(
      .incompatibleState,
      "\(escaped(spoiled.path)) was given up while it was restored, and "
        + "\(escaped(reader.path)) does not restore all that had come from it, for example "
        + "'\(escaped(example))'. The trainer must not go on: make it anew, and resume from "
        + "\(escaped(reader.path)) by its path.",
      at: CheckpointError.Location(path: reader.path))
  }
}
