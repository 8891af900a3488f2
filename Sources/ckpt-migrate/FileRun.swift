internal import CheckpointEngine
internal import CommandLineTool

/// Migrates one file.
struct FileRun {
  let source: String
  let destination: String
  let plan: MigrationPlan
  let options: StoreOptions
  let results: MigrationResults

  func run(isDry: Bool) -> ExitStatus {
    do {
      let reader = try CheckpointReader.open(path: source, threads: options.threads)
      let migration = try CheckpointMigration(of: reader, by: plan, options: options)
      let target = target(reader)
      if isDry {
        results.plan(migration, to: target)
        results.space(
          needed: migration.byteCountMax, in: StoreDirectory.split(target).directory)
        return results.status(.success)
      }
      let progress = ProgressLine()
      let name = StoreDirectory.split(source).name
      defer { progress.clear() }
      let result = try migration.write(to: target) { done, total in
        progress.update {
          ProgressLine.text(name, done: done, of: total, columnCount: $0)
        }
      }
      progress.clear()
      results.done(result, from: reader)
      return results.status(.success)
    } catch {
      return results.failure(error, path: source)
    }
  }

  /// In a directory, the new file has the name of the source.
  private func target(_ reader: CheckpointReader) -> String {
    guard let directory = try? StoreDirectory.open(destination, on: options.device) else {
      return destination
    }
    return directory.path(of: StoreDirectory.split(source).name)
  }
}
