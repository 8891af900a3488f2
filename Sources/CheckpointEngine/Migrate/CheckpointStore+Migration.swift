internal import CheckpointFormat
internal import CheckpointStorage

// Migrating a store: each file in turn, oldest first, is made anew beside the old one, compared with it,
// and takes its name in one step. At every moment each name stands for the old file or for the new one,
// both of which are the same checkpoint; so whatever stops a migration, the store is as good as before,
// and the same migration goes on where it was.

/// What migrating a store means for one of its files.
public struct StoreMigrationItem: Sendable {
  /// The file.
  public let entry: StoreEntry
  /// What is done with it.
  public let action: Action

  /// Whether it is made anew.
  public var isMigration: Bool {
    if case .migrate = action { return true }
    return false
  }

  /// What is done with a file.
  public enum Action: Sendable {
    /// It is migrated; the most bytes that the result has, and what cannot be had back from it.
    case migrate(byteCountMax: UInt64, losses: [String])
    /// Nothing: it is as the plan wants it, or was migrated by the same plan before.
    case isDone
    /// Nothing: why it stays as it is.
    case stays(CheckpointError)
  }
}

extension CheckpointStore {
  /// What ``migrate(_:keepingOriginalsIn:progress:completion:)`` would do, oldest first; changes nothing.
  ///
  /// - Parameter plan: The plan.
  /// - Returns: One item for each checkpoint, in whatever condition.
  /// - Throws: ``CheckpointError``: `.incompatibleState` naming the checkpoint that a step does not fit;
  ///   `.unreadable`.
  /// - Complexity: Reads the index of each file.
  public func migrationItems(
    _ plan: MigrationPlan
  ) throws(CheckpointError) -> [StoreMigrationItem] {
    var items: [StoreMigrationItem] = []
    for entry in try list().entries.reversed() {
      let action: StoreMigrationItem.Action
      do throws(CheckpointError) {
        if let reason = try migrationObjection(to: entry) { throw reason }
        let reader = try open(entry)
        if isDone(reader, plan) {
          action = .isDone
        } else {
          let migration = try CheckpointMigration(of: reader, by: plan, options: options)
          action = .migrate(byteCountMax: migration.byteCountMax, losses: migration.losses)
        }
      } catch {
        // Retention of another process may have been faster; only reading can meet that.
        if error.code == .notFound { continue }
        guard Self.isPassedOver(error) else { throw error }
        action = .stays(error)
      }
      items.append(StoreMigrationItem(entry: entry, action: action))
    }
    return items
  }

  /// Migrates every checkpoint of the store, oldest first.
  ///
  /// A checkpoint keeps its name, identifier, step, generation, lineage, pin and mode. What is damaged, or
  /// needs a newer build, stays as it is. Stopped at any point, also by a power cut, the store holds every
  /// checkpoint, and doing the same again comes to the same files.
  ///
  /// - Parameters:
  ///   - plan: The plan.
  ///   - directory: Where the originals are kept, made if it is not there; required if the plan loses
  ///     anything.
  ///   - progress: Is told which file is being migrated, and how many bytes of how many are done.
  ///   - completion: Is told of each file once it is durable in its place.
  /// - Returns: What became of each file, oldest first.
  /// - Throws: ``CheckpointError``: `.incompatibleState` before anything is changed, if a step does not fit a
  ///   checkpoint or loses what is kept nowhere; `.incompatibleState` later if values do not fit a cast;
  ///   `.alreadyExists` if another file has an original's name; `.outOfSpace`, `.io`,
  ///   `.durabilityUnknown`.
  public func migrate(
    _ plan: MigrationPlan, keepingOriginalsIn directory: String? = nil,
    progress: ((_ entry: StoreEntry, _ done: UInt64, _ of: UInt64) -> Void)? = nil,
    completion: ((_ entry: StoreEntry, MigrationResult) -> Void)? = nil
  ) throws -> [StoreMigrationItem] {
    try requireWritable()
    guard plan.isTellable else {
      throw CheckpointError(
        .invalidState,
        "A store cannot be migrated by steps with functions of their own: nothing would tell which files "
          + "they were applied to. Migrate single files to a new place.",
        at: CheckpointError.Location(path: path))
    }
    var items = try migrationItems(plan)
    try requireNothingLost(items, keepsOriginals: directory != nil)
    let originals = try directory.map { try OriginalsDirectory($0, beside: self) }
    let writer = MigrationWriter(self.directory, options, pool)
    for number in items.indices {
      let entry = items[number].entry
      guard case .migrate = items[number].action else { continue }
      do {
        let migration = try CheckpointMigration(of: open(entry), by: plan, options: options)
        try originals?.keep(migration.reader)
        let made = try writer.make(migration) { progress?(entry, $0, $1) }
        try made.file.publish(
          as: entry.name, saveIdentifier: migration.header.saveIdentifier, replacing: true)
        try self.directory.syncPublished(entry.name)
        completion?(
          entry,
          MigrationResult(
            path: entry.path, byteCount: made.byteCount, header: migration.header,
            casts: made.casts))
      } catch let error as CheckpointError
        where Self.isPassedOver(error) && error.location?.path == entry.path
      {
        // Of the file itself: what is wrong with the new one, or with a kept one, stops everything.
        items[number] = StoreMigrationItem(entry: entry, action: .stays(error))
      }
    }
    return items
  }

  /// Why a file is left alone, as far as its name and header tell.
  private func migrationObjection(
    to entry: StoreEntry
  ) throws(CheckpointError) -> CheckpointError? {
    guard entry.role == .damaged else { return entry.problem }
    return entry.reasonNotToBeCandidate
  }

  /// Whether a file stays as it is for this reason, and the others are migrated all the same.
  private static func isPassedOver(_ error: CheckpointError) -> Bool {
    [.corrupted, .notRegular, .unsupported, .unreadable].contains(error.code)
  }

  private func isDone(_ reader: CheckpointReader, _ plan: MigrationPlan) -> Bool {
    guard reader.header.formatVersion == plan.formatVersion else { return false }
    return plan.steps.isEmpty || reader.metadata.migrations.last?.plan == plan.fingerprint
  }

  private func requireNothingLost(
    _ items: [StoreMigrationItem], keepsOriginals: Bool
  ) throws(CheckpointError) {
    var names: [Identifier: String] = [:]
    for item in items {
      guard case .migrate(_, let losses) = item.action, let first = losses.first else { continue }
      let path = item.entry.path
      let location = CheckpointError.Location(path: path)
      guard keepsOriginals else {
        throw CheckpointError(
          .incompatibleState,
          "The plan loses something of \(escaped(path)): \(escaped(first))"
            + (losses.count > 1 ? ", and \(losses.count - 1) more" : "")
            + ". Keep the originals in another directory (--keep-originals DIR), or migrate single "
            + "files to a new place. Nothing was changed.", at: location)
      }
      // With one of two migrated, nothing would say which one is meant.
      guard let identifier = item.entry.header?.checkpointIdentifier,
        let other = names.updateValue(path, forKey: identifier)
      else { continue }
      throw CheckpointError(
        .ambiguous,
        "\(escaped(other)) and \(escaped(path)) are copies of one checkpoint, of which the plan "
          + "loses something. Move one of them away. Nothing was changed.", at: location)
    }
  }
}
