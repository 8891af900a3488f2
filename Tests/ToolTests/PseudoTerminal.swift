#if os(Linux)
  import Foundation

  /// A terminal for a tool under test.
  enum PseudoTerminal {
    struct Refused: Error { let errno: Int32 }

    // TIOCSPTLCK and TIOCGPTN of Linux, which are macros that Swift does not see; ioctl_tty(2).
    private static let setLock: UInt = 0x4004_5431
    private static let getNumber: UInt = 0x8004_5430

    /// Runs a program whose standard output and standard error are a terminal; kills it after a minute.
    ///
    /// - Returns: The exit status and all that was written, with CR LF at the ends of lines, as a terminal has them.
    static func run(
      _ command: [String], environment: [String: String] = [:]
    ) throws -> (status: Int32, text: String) {
      let main = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY)
      guard main >= 0 else { throw Refused(errno: errno) }
      defer { close(main) }
      var (number, isLocked) = (Int32(0), Int32(0))
      // SAFETY: the kernel reads or fills one number, which is ours.
      guard unsafe ioctl(main, setLock, &isLocked) == 0,
        unsafe ioctl(main, getNumber, &number) == 0
      else { throw Refused(errno: errno) }
      let terminal = unsafe open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
      guard terminal >= 0 else { throw Refused(errno: errno) }
      let handle = FileHandle(fileDescriptor: terminal, closeOnDealloc: true)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: command[0])
      process.arguments = Array(command.dropFirst())
      process.environment = ["TERM": "xterm"].merging(environment) { $1 }
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = handle
      process.standardError = handle
      try process.run()
      let start = ContinuousClock.now
      var bytes: [UInt8] = []
      // What is left in the terminal when the program has ended is read as well.
      while true {
        let isOver = !process.isRunning
        let count = drain(main, into: &bytes)
        if isOver, count == 0 { break }
        if ContinuousClock.now - start > .seconds(60) {
          kill(process.processIdentifier, SIGKILL)
          throw ToolProcess.TimedOut()
        }
      }
      withExtendedLifetime(handle) {}
      return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }

    /// Reads what is there, for two milliseconds at most.
    private static func drain(_ descriptor: Int32, into bytes: inout [UInt8]) -> Int {
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      // SAFETY: one record, which is ours.
      guard unsafe poll(&request, 1, 2) > 0 else { return 0 }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe read(descriptor, $0.baseAddress, $0.count)
      }
      if count > 0 { bytes += buffer[..<count] }
      return max(0, count)
    }
  }
#endif
