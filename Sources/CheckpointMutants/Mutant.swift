// Linked only with the package trait "Mutants", which no user switches on: each case names a
// decision of the library that is turned round where `#if Mutants` stands, to see whether the
// fault suites notice. A plain build holds none of this, and a test asserts it.

/// A mistake that the library could make.
package enum Mutant: String, CaseIterable, Sendable {
  case directWritesNotSynced
  case failedWriteForgotten, generationUnspentAfterFailure, retentionBeforeAcknowledgement
  case newestByStep, generationOfIntactFilesOnly, verificationSkippedAtRecovery
  case freshStartOverDamage, unreadableCandidatePassedOver, ambiguityOverlooked
  case damagedFilesCount, doubtForgotten, pinsForgotten, resumedCheckpointNotSpared
  case readBackSkipped, owedRetentionNotSynced, owedRetentionTrustsTheNewest
  case copiesCountTwice, abandonedBranchCounts
  case emptyDirectoryTrusted, renameErrorBelieved, failedTemporaryStays, abandonedTemporaryStays
  case closeRepeatedAfterInterrupt, interruptsNotRetried, interruptedSyncNotChecked
  case shutdownOverlooked, asideNotSynced, emergencyCounts, healthyOneNotSpared
  case rawChecksumUnchecked, storedChecksumUnchecked, identityLeftOutOfChecksum
  case frameUnchecked, frontTableUnchecked, paddingUnchecked, sectionChecksumUnchecked
  case unreadableCalledDamaged, holdForgotten

  /// The mutant that is alive, or nil.
  ///
  /// SAFETY: set between runs, when no other thread is looking.
  nonisolated(unsafe) package static var active: Mutant?

  /// Whether `mutant` is alive.
  package static func isActive(_ mutant: Mutant) -> Bool { unsafe active == mutant }

  /// What is wrong, for a person.
  package var sentence: String {
    switch self {
    case .directWritesNotSynced: "what was written past the page cache counts as synced"
    case .failedWriteForgotten: "the output does not remember that a write failed"
    case .generationUnspentAfterFailure: "a failed save does not spend its generation"
    case .retentionBeforeAcknowledgement: "retention runs before the directory is synced"
    case .newestByStep: "the newest is the highest step"
    case .generationOfIntactFilesOnly:
      "quarantined and broken files do not count for the generation"
    case .verificationSkippedAtRecovery: "recovery takes a file without verifying it"
    case .freshStartOverDamage: "a run begins afresh if every checkpoint is damaged"
    case .unreadableCandidatePassedOver: "recovery falls back over what it could not read"
    case .ambiguityOverlooked: "recovery takes one of two runs"
    case .damagedFilesCount: "damaged files count among those to keep"
    case .doubtForgotten: "retention goes on after a failed fsync of the directory"
    case .pinsForgotten: "retention removes pinned checkpoints"
    case .resumedCheckpointNotSpared: "retention removes the checkpoint that was resumed from"
    case .readBackSkipped: "the only predecessor goes without reading the new file back"
    case .owedRetentionNotSynced: "what stays is not synced before owed retention removes others"
    case .owedRetentionTrustsTheNewest: "owed retention may keep only what nobody was told of"
    case .abandonedBranchCounts: "what a run was taken back from competes for the best"
    case .copiesCountTwice: "two names of one file count as two checkpoints"
    case .emptyDirectoryTrusted: "an empty directory is taken to be durable"
    case .renameErrorBelieved: "a rename that reports an error is taken not to have happened"
    case .failedTemporaryStays: "a save that fails leaves its temporary"
    case .abandonedTemporaryStays: "temporaries of dead writers are not removed"
    case .closeRepeatedAfterInterrupt: "close is called again after EINTR"
    case .interruptsNotRetried: "a call that a signal interrupts is not repeated"
    case .interruptedSyncNotChecked: "an interrupted fsync counts as done"
    case .shutdownOverlooked: "a directory of a file system that shut itself down counts as synced"
    case .asideNotSynced: "setting a file aside is not synced"
    case .emergencyCounts: "what a run that failed leaves counts as a checkpoint"
    case .healthyOneNotSpared: "retention removes the last healthy checkpoint"
    case .rawChecksumUnchecked: "what a chunk decodes to is not checked"
    case .storedChecksumUnchecked: "what is read is not checked"
    case .identityLeftOutOfChecksum: "a chunk's checksum does not say which chunk it is"
    case .frameUnchecked: "verification does not compare frames"
    case .frontTableUnchecked: "verification does not compare the front table"
    case .paddingUnchecked: "padding need not be zero"
    case .sectionChecksumUnchecked: "the checksums of the index are not compared"
    case .unreadableCalledDamaged: "what could not be read is called damaged"
    case .holdForgotten: "a reader does not hold the file that it reads"
    }
  }
}
