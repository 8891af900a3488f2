#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Invariants of the system-call layer:
// - one method is one system call; nothing is retried and nothing is remembered;
// - errno is read in the statement that follows the call, before a release could change it;
// - every descriptor is opened with O_CLOEXEC, so that no child process inherits it.
// What differs between Linux and Darwin stands in PosixBackend+Linux.swift and +Darwin.swift.

/// The file system of the machine, through system calls.
package final class PosixBackend: StorageBackend {
  /// Linux caps a transfer at 0x7ffff000 bytes and Darwin refuses one above 2^31 - 1.
  static let transferByteCountMax = 1 << 30

  /// What one call takes; Linux and Darwin agree on it.
  static let vectorCountMax = 1024

  package init() {}

  package func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    try Descriptor(
      rawValue: unsafe withCString(path, in: .open) {
        unsafe Self.resultOrError(openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
      })
  }

  package func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    _ = try unsafe withCString(path, in: .mkdir) {
      unsafe Self.resultOrError(mkdir($0, mode_t(truncatingIfNeeded: permissions)))
    }
  }

  package func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    let always = O_NOFOLLOW | O_CLOEXEC
    let flags: Int32
    var mode: UInt32 = 0
    switch purpose {
    case .reading:
      // O_NONBLOCK: a FIFO of that name must not stop us; it means nothing to a regular file.
      flags = O_RDONLY | O_NONBLOCK | always
    case .creating(let permissions):
      flags = O_RDWR | O_CREAT | O_EXCL | always
      mode = permissions
    case .locking(let permissions):
      flags = O_RDWR | O_CREAT | O_NONBLOCK | always
      mode = permissions
    }
    return try Descriptor(
      rawValue: unsafe withCString(name, in: .open) {
        unsafe Self.resultOrError(
          openat(directory.rawValue, $0, flags, mode_t(truncatingIfNeeded: mode)))
      })
  }

  package func close(_ descriptor: Descriptor) throws(StorageError) {
    try Self.check(.close, Platform.close(descriptor.rawValue))
  }

  package func sync(_ descriptor: Descriptor) throws(StorageError) {
    try Self.check(.sync, Platform.sync(descriptor.rawValue))
  }

  package func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    let length = try Self.fileOffset(byteCount, in: .preallocate)
    try Self.check(.preallocate, Platform.preallocate(descriptor.rawValue, byteCount: length))
  }

  package func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    try Self.check(.setCaching, Platform.setCaching(descriptor.rawValue, caching))
  }

  package func startWriteBack(
    _ descriptor: Descriptor, _ range: Range<UInt64>
  ) throws(StorageError) {
    let start = try Self.fileOffset(range.lowerBound, in: .startWriteBack)
    let end = try Self.fileOffset(range.upperBound, in: .startWriteBack)
    // To the system, a length of nothing means to the end of the file.
    if start == end { return }
    try Self.check(
      .startWriteBack,
      Platform.startWriteBack(descriptor.rawValue, from: start, byteCount: end - start))
  }

  package func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    let length = try Self.fileOffset(byteCount, in: .truncate)
    if ftruncate(descriptor.rawValue, length) != 0 { throw StorageError(.truncate, errno: errno) }
  }

  package func setPermissions(
    _ descriptor: Descriptor, _ permissions: UInt32
  ) throws(StorageError) {
    if fchmod(descriptor.rawValue, mode_t(truncatingIfNeeded: permissions)) != 0 {
      throw StorageError(.setPermissions, errno: errno)
    }
  }

  package func dropCache(_ descriptor: Descriptor) throws(StorageError) {
    try Self.check(.dropCache, Platform.dropCache(descriptor.rawValue))
  }

  package func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    let operation = kind == .shared ? LOCK_SH : LOCK_EX
    if flock(descriptor.rawValue, operation | LOCK_NB) == 0 { return true }
    let error = errno
    if error == EWOULDBLOCK { return false }
    throw StorageError(.lock, errno: error)
  }

  package func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try unsafe withCStrings(name, target, in: .rename) {
      unsafe Platform.renameExclusively($0, to: $1, in: directory.rawValue)
    }
  }

  package func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try unsafe withCStrings(name, target, in: .replace) {
      unsafe Self.errorOrZero(renameat(directory.rawValue, $0, directory.rawValue, $1))
    }
  }

  package func link(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try unsafe withCStrings(name, target, in: .link) {
      unsafe Self.errorOrZero(linkat(directory.rawValue, $0, directory.rawValue, $1, 0))
    }
  }

  package func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    _ = try unsafe withCString(name, in: .unlink) {
      unsafe Self.resultOrError(unlinkat(directory.rawValue, $0, 0))
    }
  }
}

// MARK: Results and arguments of system calls

extension PosixBackend {
  /// The result of a call that was made in the argument, or errno negated.
  static func resultOrError(_ result: Int32) -> Int32 { result < 0 ? -errno : result }

  /// Zero for a call that succeeded, else errno.
  static func errorOrZero(_ result: Int32) -> Int32 { result < 0 ? errno : 0 }

  static func check(_ call: SystemCall, _ error: Int32) throws(StorageError) {
    if error != 0 { throw StorageError(call, errno: error) }
  }

  /// The type of a file offset is signed; what does not fit is what the kernel calls too big.
  static func fileOffset(_ offset: UInt64, in call: SystemCall) throws(StorageError) -> off_t {
    guard let value = off_t(exactly: offset) else { throw StorageError(call, errno: EFBIG) }
    return value
  }

  /// Runs `body`, which returns a result or errno negated, with a name as the kernel takes it.
  func withCString(
    _ name: String, in call: SystemCall, _ body: (UnsafePointer<CChar>) -> Int32
  ) throws(StorageError) -> Int32 {
    // The kernel would silently take the part before a NUL for the whole name.
    if name.utf8.contains(0) { throw StorageError(call, errno: EINVAL) }
    // SAFETY: the bodies, all in this folder, use the pointer for one system call only.
    let result = unsafe name.withCString { unsafe body($0) }
    if result < 0 { throw StorageError(call, errno: -result) }
    return result
  }

  /// The form for two names; `body` returns errno, or zero.
  private func withCStrings(
    _ first: String, _ second: String, in call: SystemCall,
    _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
  ) throws(StorageError) {
    if first.utf8.contains(0) || second.utf8.contains(0) {
      throw StorageError(call, errno: EINVAL)
    }
    // SAFETY: as above.
    let error = unsafe first.withCString { first in
      unsafe second.withCString { second in unsafe body(first, second) }
    }
    try Self.check(call, error)
  }
}
