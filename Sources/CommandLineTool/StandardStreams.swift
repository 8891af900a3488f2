internal import Synchronization

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Standard output and standard error, whole lines or all the bytes at a time.
package enum StandardStreams {
  private static let failure = Atomic<Int32>(0)

  /// Makes descriptors 0, 1 and 2 safe to have, and failed writes errors; call it before anything is opened.
  ///
  /// If the program was started with one of them closed, the next file it opens would take that
  /// number, and a line meant for a person would be written into a checkpoint.
  package static func prepare() {
    for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free number is this one, since those below it are open. A write to it fails,
      // and so is not taken for success. SAFETY: the path is a literal.
      unsafe _ = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
    }
    // A write to a closed pipe then fails, and we decide; see `writeOutput` and `writeError`.
    _ = signal(SIGPIPE, SIG_IGN)
    // A write beyond `ulimit -f` then fails with EFBIG, which is reported, instead of killing.
    _ = signal(SIGXFSZ, SIG_IGN)
  }

  /// Writes a line to standard output.
  ///
  /// If nobody reads it any more, this ends the program the way a broken pipe ends any program,
  /// quietly. If it cannot be written for another reason, standard error says so once and
  /// ``hasOutputFailed`` is true from then on: the program must not exit with success.
  package static func writeOutput(_ line: String) {
    // SAFETY: bytes have no padding that could be uninitialised.
    writeOutput(bytes: unsafe Array((line + "\n").utf8).span.bytes)
  }

  /// Writes bytes to standard output, as ``writeOutput(_:)`` writes a line.
  package static func writeOutput(bytes: RawSpan) {
    guard let error = DescriptorWriter(descriptor: STDOUT_FILENO).write(bytes) else { return }
    if error == EPIPE { endByBrokenPipe() }
    if failure.exchange(error, ordering: .relaxed) == 0 {
      // SAFETY: strerror returns a terminated string, which is copied at once.
      let reason = unsafe strerror(error).map { unsafe String(cString: $0) } ?? "errno \(error)"
      writeError("Cannot write to standard output: \(reason).")
    }
  }

  /// Whether a line could not be written to standard output.
  package static var hasOutputFailed: Bool { failure.load(ordering: .relaxed) != 0 }

  /// Writes a line to standard error.
  ///
  /// A failure is ignored: where else could one complain?
  package static func writeError(_ line: String) { writeProgress(line + "\n") }

  /// Writes to standard error without ending the line.
  package static func writeProgress(_ text: String) {
    _ = DescriptorWriter(descriptor: STDERR_FILENO).write(text)
  }

  /// Whether standard error is a terminal, where a person looks at progress.
  package static var isErrorTerminal: Bool { isTerminal(STDERR_FILENO) }

  /// Whether a descriptor is a terminal.
  package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// The width of the terminal that standard error is, in columns; 80 if it does not say.
  static var errorColumnCount: Int { columnCount(STDERR_FILENO) }

  /// The width of the terminal that standard output is, in columns; nil if it is none, so that nothing
  /// need be cut.
  package static var outputColumnCount: Int? {
    isTerminal(STDOUT_FILENO) ? columnCount(STDOUT_FILENO) : nil
  }

  private static func columnCount(_ descriptor: Int32) -> Int {
    var size = winsize()
    // SAFETY: the kernel fills the record, which is ours.
    let result = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size)
    return result == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }

  private static func endByBrokenPipe() -> Never {
    _ = signal(SIGPIPE, SIG_DFL)
    _ = raise(SIGPIPE)
    _exit(128 + SIGPIPE)  // reached only if the signal is blocked
  }
}
