// snippet: migrate
import CheckpointTraining

/// Tells what was done to a checkpoint since it was saved.
func tellMigrations(of path: String) throws {
  let reader = try CheckpointReader.open(path: path)
  for migration in reader.metadata.migrations {
    print("from \(migration.saveIdentifier), without loss: \(migration.isLossless)")
    print(migration.steps)
  }
}
// end of snippet

// snippet: migrate
/// Makes a file with the weights alone, in half the bytes.
func exportWeights(of path: String, to target: String) throws {
  let plan = MigrationPlan([
    .drop(.matching("**").excluding("model/**")), .cast(.matching("model/**"), to: .bfloat16),
  ])
  let migration = try CheckpointMigration(of: CheckpointReader.open(path: path), by: plan)
  let result = try migration.write(to: target)
  print("\(result.byteCount) bytes, \(result.casts.count) tensors converted")
}
// end of snippet
