internal import CheckpointFormat

extension CheckpointStore {
  /// Stands where a process would that goes on from the newest intact checkpoint, so that retention can be
  /// asked for, or done, between two processes of a run.
  ///
  /// - Returns: False if there is no checkpoint.
  /// - Throws: ``CheckpointError``: as ``recover(_:)``: nothing goes where it is unclear what is the newest,
  ///   or where that cannot be read.
  /// - Complexity: Reads the newest intact checkpoint once.
  package func standAtNewest() throws(CheckpointError) -> Bool {
    guard let recovery = try recover(.latest) else { return false }
    continueRun(from: recovery.reader, choice: .automatic)
    return true
  }

  /// Removes what a policy does not keep, after ``standAtNewest()``.
  ///
  /// As careful as a process that resumes: what stays is made durable first; besides what ``retain(_:)``
  /// spares, the last checkpoint stays that is known to have been durable when it was saved, since the
  /// newest may not have been.
  ///
  /// - Parameter policy: What stays.
  /// - Returns: What was removed, and what was not and why.
  package func prune(_ policy: RetentionPolicy) -> RetentionReport { finishRetention(policy) }
}
