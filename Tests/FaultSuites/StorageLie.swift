/// A protection of the commit protocol that is taken away between the engine and the disk.
///
/// Each is what a writer without that protection would do; a suite that stays green under one of
/// them proves nothing about it.
package enum StorageLie: String, CaseIterable, Sendable {
  case fileSyncDropped, directorySyncDropped, createdDirectorySyncDropped
  case fileSyncErrorHidden, fileSyncRepeated, directorySyncErrorHidden
  case closeErrorHidden, writeErrorHidden, shortWriteTakenForWhole
  case renameErrorHidden, creatingReusesAFile, publishingReplaces
  case writersLockSkipped, temporarysLockSkipped, victimsLockSkipped
  case renameBeforeSync

  /// What the liar does, for a person.
  package var sentence: String {
    switch self {
    case .fileSyncDropped: "fsync of the file is not done"
    case .directorySyncDropped: "fsync of the store's directory is not done"
    case .createdDirectorySyncDropped: "fsync of the parent of a new directory is not done"
    case .fileSyncErrorHidden: "a failed fsync of the file counts as done"
    case .fileSyncRepeated: "a failed fsync of the file is repeated until it succeeds"
    case .directorySyncErrorHidden: "a failed fsync of the directory counts as done"
    case .closeErrorHidden: "close is not checked"
    case .writeErrorHidden: "a failed write counts as done"
    case .shortWriteTakenForWhole: "a short write counts as whole"
    case .renameErrorHidden: "a failed rename counts as done"
    case .creatingReusesAFile: "the temporary is not created exclusively"
    case .publishingReplaces: "publishing replaces a file of the same name"
    case .writersLockSkipped: "the writer's lock is not taken"
    case .temporarysLockSkipped: "the temporary is not locked"
    case .victimsLockSkipped: "retention removes what a reader holds"
    case .renameBeforeSync: "the file is published first and synced afterwards"
    }
  }
}
