internal import Dispatch

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What the system tells of itself; nil where it does not, as without /proc.
enum Machine {
  /// Bytes that programs can have without swapping.
  static var availableByteCount: Int? { memory("MemAvailable:") }

  /// Bytes that a program can still write into a directory's file system.
  static func freeByteCount(in directory: String) -> Int? {
    var record = statvfs()
    guard unsafe statvfs(directory, &record) == 0 else { return nil }
    return Int(record.f_bavail) * Int(record.f_frsize)
  }

  /// Bytes of the page cache that are not on the disk yet.
  static var unwrittenByteCount: Int? {
    guard let dirty = memory("Dirty:"), let writing = memory("Writeback:") else { return nil }
    return dirty + writing
  }

  private static func memory(_ name: String) -> Int? { field(name, of: "/proc/meminfo") }

  /// A field that is given in kB, in bytes.
  private static func field(_ name: String, of path: String) -> Int? {
    for line in lines(of: path) where line.hasPrefix(name) {
      return Int(line.split(whereSeparator: \.isWhitespace)[1]).map { $0 * 1024 }
    }
    return nil
  }

  /// Writes to the disk what waits to be written, whoever wrote it, and waits for it.
  ///
  /// - Returns: Whether it is.
  @discardableResult
  static func waitForQuietDisk() -> Bool {
    guard unwrittenByteCount != nil else { return false }
    for _ in 0..<20 {
      if let count = unwrittenByteCount, count < 16 << 20 { return true }
      // On a machine that others use, it would not come to rest by itself.
      sync()
    }
    return false
  }

  /// User and system time of this process.
  static var usedCPUSeconds: Double {
    var usage = rusage()
    #if canImport(Glibc)
      unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    #else
      unsafe getrusage(RUSAGE_SELF, &usage)
    #endif
    let times = [usage.ru_utime, usage.ru_stime]
    return times.reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
  }

  /// Time that the host gave to others while this guest wanted it, of all cores; see proc_stat(5).
  static var stolenSeconds: Double {
    guard let fields = lines(of: "/proc/stat").first?.split(separator: " "), fields.count > 8 else {
      return 0
    }
    return (Double(fields[8]) ?? 0) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// How much faster two threads count than one: about 2 on cores of their own, about 1.3 on two halves
  /// of one.
  static func speedUpOfTwoThreads() -> Double {
    func count(_ threads: Int) -> Double {
      Benchmark.seconds {
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
          var random = RandomStream(thread)
          var sum: UInt64 = 0
          for _ in 0..<100_000_000 { sum &+= random.next() }
          // Nobody needs the sum, and the compiler must not know.
          if sum == 0 { print("") }
        }
      }
    }
    _ = count(2)
    return 2 * count(1) / count(2)
  }

  /// Resident memory, in bytes.
  ///
  /// - Parameter resettingPeak: Whether ``peakByteCount`` begins anew; see proc_pid_clear_refs(5).
  /// - Returns: The resident memory now.
  static func residentByteCount(resettingPeak: Bool = false) -> Int {
    if resettingPeak, let file = unsafe fopen("/proc/self/clear_refs", "w") {
      unsafe fputs("5", file)
      unsafe fclose(file)
    }
    return field("VmRSS:", of: "/proc/self/status") ?? 0
  }

  /// The highest resident memory since it was reset, in bytes.
  static var peakByteCount: Int { field("VmHWM:", of: "/proc/self/status") ?? 0 }

  /// The lines of a small file; none if it cannot be read.
  static func lines(of path: String) -> [Substring] {
    guard let file = unsafe fopen(path, "r") else { return [] }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    // SAFETY: the array has that many bytes.
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
  }
}

extension Machine {
  /// The highest resident memory during `body` less the resident memory before it, in MiB.
  static func extraMebibytes(_ body: () throws -> Void) throws -> Double {
    let before = residentByteCount(resettingPeak: true)
    try body()
    let peak = peakByteCount
    guard peak > 0 else { Benchmark.fail("this case needs /proc", status: 1) }
    return Double(peak - before) / Double(1 << 20)
  }
}
