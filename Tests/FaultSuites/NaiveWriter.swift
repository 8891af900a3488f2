import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting

// What most training programs do: write a temporary file and rename it, without fsync. It goes
// through the same crashes as the library; a suite that finds nothing wrong with it is blind.

package enum NaiveWriter {
  package static let name = "naive"

  /// How a save is made durable, if at all.
  package enum Habit: String, CaseIterable, Sendable {
    /// Temporary file and rename, no fsync.
    case renameOnly
    /// The file is synced, the directory is not.
    case fileSync
    /// Written in place under its final name.
    case inPlace

    /// For a person.
    package var sentence: String {
      switch self {
      case .renameOnly: "temporary file and rename, no fsync"
      case .fileSync: "temporary file, fsync and rename, no fsync of the directory"
      case .inPlace: "written under its final name, no fsync"
      }
    }
  }

  /// What crashes made of its checkpoints.
  package struct Losses: Sendable {
    package var stateCount = 0
    /// States in which an acknowledged checkpoint is gone.
    package var lostCount = 0
    /// States in which a broken file has a checkpoint's name.
    package var tornCount = 0
  }

  /// Cuts the power before every call of a second save.
  package static func run(_ habit: Habit, _ harness: Harness) throws -> Losses {
    // The bytes are those of real checkpoints: only how they get to the disk differs.
    let source = SimulatedDisk()
    let player = Player(source, harness)
    try player.play([.save(step: 1), .save(step: 2)])
    let files = source.checkpointNames.map { name in
      (name: name, bytes: source.contents(ofFileAt: Harness.storePath + "/" + name) ?? [])
    }
    let prepared = try PreparedScenario(
      Scenario("", after: [.save(step: 1)], []), harness
    ).player().disk
    let operationCount = try save(files[1], habit, on: prepared.copy()).operationCount

    var losses = Losses()
    // One more than there are calls: the power fails after the last, when the program was told.
    for index in 0...operationCount {
      let disk = prepared.copy()
      disk.crash(beforeOperation: index)
      let isAcknowledged = (try? save(files[1], habit, on: disk)) != nil
      disk.crash()
      for state in disk.postCrashStates(limit: harness.statesPerCrash, seed: harness.seed) {
        losses.stateCount += 1
        let contents = state.contents(ofFileAt: Harness.storePath + "/" + files[1].name)
        if let contents, contents != files[1].bytes { losses.tornCount += 1 }
        if isAcknowledged, contents != files[1].bytes { losses.lostCount += 1 }
      }
    }
    return losses
  }

  @discardableResult
  private static func save(
    _ file: (name: String, bytes: [UInt8]), _ habit: Habit, on disk: SimulatedDisk
  ) throws -> SimulatedDisk {
    let backend = disk.device.backend
    try disk.inStore { directory in
      let name = habit == .inPlace ? file.name : file.name + ".tmp"
      let descriptor = try backend.open(
        name, in: directory, for: .creating(permissions: 0o600))
      try backend.writeAll(descriptor, file.bytes.rawSpan, at: 0)
      if habit == .fileSync { try backend.sync(descriptor) }
      try backend.close(descriptor)
      if habit != .inPlace {
        try backend.renameExclusively(name, to: file.name, in: directory)
      }
    }
    return disk
  }
}
