/// A system call that refused.
package struct StorageError: Error, Hashable, Sendable {
  /// The call that failed.
  package var call: SystemCall
  /// Why, as errno(3).
  package var errno: Int32

  package init(_ call: SystemCall, errno: Int32) {
    self.call = call
    self.errno = errno
  }
}

/// The calls of ``StorageBackend``, by the name a system-call trace shows.
package enum SystemCall: String, Hashable, Sendable, CaseIterable {
  case open = "openat"
  case mkdir
  case close
  case read = "pread64"
  case write = "pwrite64"
  case sync = "fsync"
  case preallocate = "fallocate"
  case setCaching = "fcntl"
  case startWriteBack = "sync_file_range"
  case truncate = "ftruncate"
  case setPermissions = "fchmod"
  case dropCache = "fadvise64"
  case status = "fstat"
  case list = "getdents64"
  case space = "fstatfs"
  case lock = "flock"
  case rename = "renameat2"
  case replace = "renameat"
  case link = "linkat"
  case unlink = "unlinkat"
}
