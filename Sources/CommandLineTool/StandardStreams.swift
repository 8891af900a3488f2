#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The program's exit statuses.
package enum ExitStatus: Int32 {
  case success = 0
  case failure = 1
  case cannotTell = 2
  case unsupported = 3
  /// `EX_USAGE` of sysexits(3).
  case usage = 64
}

/// Whole lines on standard output and standard error.
package enum StandardStreams {
  /// Whether standard error is a terminal, where a person looks at progress.
  package static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Writes a line of results.
  ///
  /// If nobody can take it any more, the program ends here with status 1: what follows could only
  /// be lost silently.
  package static func writeOutput(_ line: String) {
    if !write(line + "\n", to: STDOUT_FILENO) { exit(ExitStatus.failure.rawValue) }
  }

  /// Writes a line for people.
  package static func writeError(_ line: String) { _ = write(line + "\n", to: STDERR_FILENO) }

  /// Writes text without a line's end, for progress.
  package static func writeProgress(_ text: String) { _ = write(text, to: STDERR_FILENO) }

  private static func write(_ text: String, to descriptor: Int32) -> Bool {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        // SAFETY: `done` is less than the buffer's length.
        unsafe Platform.write(
          descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  private enum Platform {
    static func write(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
      #if canImport(Glibc)
        unsafe Glibc.write(descriptor, bytes, count)
      #else
        unsafe Darwin.write(descriptor, bytes, count)
      #endif
    }
  }
}
