internal import CheckpointEngine
internal import CommandLineTool

/// Migrates every checkpoint of a store.
struct StoreRun {
  let path: String
  let plan: MigrationPlan
  let options: StoreOptions
  let results: MigrationResults
  let originals: String?

  func run(isDry: Bool) -> ExitStatus {
    do {
      // A directory that is not there must not be made.
      let preview = try CheckpointStore(path, for: .reading, options: options)
      let items = try preview.migrationItems(plan)
      guard !items.isEmpty else {
        throw CheckpointError(
          .notFound, "\(escaped(path)) holds no checkpoint. Check the path.",
          at: CheckpointError.Location(path: path))
      }
      if isDry { return showPlan(items) }
      let count = items.count { $0.isMigration }
      let progress = ProgressLine()
      defer { progress.clear() }
      let store = try CheckpointStore(path, for: .writing, options: options)
      var number = 0
      let outcome = try store.migrate(
        plan, keepingOriginalsIn: originals,
        progress: { entry, done, total in
          progress.update {
            ProgressLine.text(
              "\(number + 1)/\(count) \(entry.name)", done: done, of: total, columnCount: $0)
          }
        },
        completion: { entry, result in
          number += 1
          progress.clear()
          results.done(result, in: entry)
        })
      progress.clear()
      return summarize(outcome, migrated: number)
    } catch {
      return results.failure(error, path: path)
    }
  }

  private func showPlan(_ items: [StoreMigrationItem]) -> ExitStatus {
    results.steps(plan)
    var needed: UInt64 = 0
    var kept: UInt64 = 0
    var isLossy = false
    var worst = ExitStatus.success
    for item in items {
      results.plan(item)
      switch item.action {
      case .migrate(let byteCountMax, let losses):
        needed = max(needed, byteCountMax)
        kept += item.entry.byteCount
        isLossy = isLossy || !losses.isEmpty
      case .stays(let error): worst = MigrationResults.worse(worst, MigrationResults.status(error))
      case .isDone: break
      }
    }
    if isLossy, originals == nil {
      results.needsOriginals()
      worst = MigrationResults.worse(worst, .failure)
    }
    if let originals { results.space(needed: kept, in: originals, for: "the originals") }
    // One at a time: the old file is given up when the new one has its name.
    results.space(needed: needed, in: path)
    return results.status(worst)
  }

  private func summarize(_ items: [StoreMigrationItem], migrated: Int) -> ExitStatus {
    var worst = ExitStatus.success
    var done = 0
    var staying = 0
    for item in items {
      switch item.action {
      case .isDone: done += 1
      case .stays(let error):
        staying += 1
        worst = MigrationResults.worse(worst, MigrationResults.status(error))
        results.plan(item)
      case .migrate: break
      }
    }
    results.summary(migrated: migrated, done: done, staying: staying)
    return results.status(worst)
  }
}
