/// The exit statuses of our tools; each tool's `--help` lists those it uses.
package enum ExitStatus: Int32, Hashable, Sendable, CaseIterable {
  /// Everything asked for was done, and nothing was found wrong.
  case success = 0
  /// Damage was found, or the program failed.
  case failure = 1
  /// It could not be told: nothing there, no permission, an I/O error.
  case cannotTell = 2
  /// A file needs a newer build or larger limits.
  case unsupported = 3
  /// The command line has no meaning; `EX_USAGE` of sysexits(3).
  case usage = 64
  /// Stopped by a signal after a durable save: run it again to go on; `EX_TEMPFAIL`.
  case resumable = 75
}
