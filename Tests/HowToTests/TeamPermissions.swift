// snippet: permissions-for-a-team
import CheckpointTraining

/// The run of a team: whoever may write the directory may go on with it.
func makeTeamManager(_ directory: String) throws -> CheckpointManager {
  try CheckpointManager(
    directory: directory, saving: .every(steps: 500), keeping: .last(3),
    options: StoreOptions(permissions: .inherit))
}

/// Goes on with a colleague's run; nil, and why, if that is not possible now.
func takeOver(_ trainer: inout Trainer, in directory: String) throws -> CheckpointManager? {
  do {
    let manager = try makeTeamManager(directory)
    try manager.resume(&trainer, from: .latest)
    return manager
  } catch let error as CheckpointError where [.busy, .io, .unreadable].contains(error.code) {
    print("\(error.code): \(error.message)")
    return nil
  }
}
// end of snippet

// snippet: permissions-for-a-team
/// Needs to read and search the directory and to read the file, and nothing more.
func newestStep(in directory: String) throws -> UInt64? {
  try CheckpointStore(directory, for: .reading).recover()?.reader.header.step
}
// end of snippet
