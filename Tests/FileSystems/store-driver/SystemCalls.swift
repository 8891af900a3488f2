#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

// The few calls that the library has no use for.

enum SystemCalls {
  /// Opens a file for writing and creates it if it may; negative if that fails.
  static func openForWriting(_ path: String, creating: Bool) -> Int32 {
    // SAFETY: the path is a terminated string for the length of the call.
    unsafe open(path, O_WRONLY | O_CLOEXEC | (creating ? O_CREAT : 0), 0o600)
  }

  /// Appends to a file; whether all of it was taken.
  static func append(_ bytes: [UInt8], to file: Int32) -> Bool {
    // SAFETY: the array lives for the length of the call.
    unsafe bytes.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) } == bytes.count
  }

  /// Overwrites one byte and syncs the file.
  static func overwriteAndSync(_ byte: UInt8, of file: Int32, at offset: Int) {
    var byte = byte
    // SAFETY: one byte of ours is read.
    unsafe _ = pwrite(file, &byte, 1, off_t(offset))
    _ = fsync(file)
  }

  /// FS_IOC_SHUTDOWN: from now on nothing reaches the device, as if the power were gone.
  ///
  /// - Parameters:
  ///   - path: A directory of the file system.
  ///   - flag: 1 to write the journal first, 2 not to.
  /// - Returns: Whether the file system can do that.
  static func shutDown(_ path: String, flag: UInt32) -> Bool {
    let request: UInt = 0x8004_587D  // _IOR('X', 125, __u32)
    var flag = flag
    // SAFETY: the path is a terminated string for the length of the call.
    let root = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { close(root) }
    // SAFETY: the call reads four bytes of ours.
    return unsafe ioctl(root, request, &flag) == 0
  }

  static let standardOutput = STDOUT_FILENO
}
