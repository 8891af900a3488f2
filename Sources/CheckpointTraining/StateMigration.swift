public import CheckpointEngine

/// What makes state of an older version of a scope into state of the next.
///
/// A program declares one for each version that it still reads, in
/// ``Checkpointable/stateMigrations``:
///
/// ```swift
/// static var stateVersion: Int { 3 }
/// static var stateMigrations: [StateMigration] {
///   [
///     StateMigration(from: 1, .rename("w", to: "weight"), .cast("weight", to: .float32)),
///     StateMigration(from: 2, .add("momentum", dtype: .float32, shape: [64])),
///   ]
/// }
/// ```
///
/// On restore they are applied in the order of their versions, each to the scope of the type that
/// declares them, the scope itself before those within. Then everything is compared as if the newest
/// version had saved it, and `restore(from:)` sees nothing else. The file is left as it is.
public struct StateMigration: Sendable {
  /// The version that it starts from; it leads to the next.
  public let version: Int
  /// What is done, in order.
  public let steps: [StateStep]

  /// Declares the steps from one version to the next.
  public init(from version: Int, _ steps: StateStep...) {
    self.init(from: version, steps: steps)
  }

  /// Declares the steps from one version to the next.
  public init(from version: Int, steps: [StateStep]) {
    self.version = version
    self.steps = steps
  }
}

/// The migrations that the types of a state declare, by scope.
struct DeclaredMigrations {
  private var scopes: [(path: String, version: Int, migrations: [StateMigration])] = []

  mutating func add(_ path: String, _ version: Int, _ migrations: [StateMigration]) {
    if !migrations.isEmpty { scopes.append((path, version, migrations)) }
  }

  /// Brings a table to the versions of now, as far as migrations are declared.
  ///
  /// - Parameters:
  ///   - table: What a checkpoint holds.
  ///   - isWanted: Whether anything in a scope is restored.
  /// - Throws: ``CheckpointError``: `.incompatibleState` if a version has no migration, or a step does
  ///   not work.
  func apply(
    to table: inout StateTable, where isWanted: (_ scope: String) -> Bool
  ) throws(CheckpointError) {
    // They were noted as the state was planned: each scope before those within.
    for (path, current, migrations) in scopes {
      guard let saved = table.versions[StateName(path)], saved < current, isWanted(path) else {
        continue
      }
      for version in saved..<current {
        guard let migration = migrations.first(where: { $0.version == version }) else {
          throw CheckpointError(
            .incompatibleState,
            "\(escaped(table.path)) has state version \(saved) of scope '\(escaped(path))'; the "
              + "program has \(current), and declares no migration from \(version).",
            at: CheckpointError.Location(path: table.path))
        }
        for step in migration.steps { try table.apply(step, in: path) }
      }
      table.setVersion(current, of: path)
    }
  }
}
