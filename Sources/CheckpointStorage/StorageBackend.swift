// The seam to the disk. Everything the library does to a file system goes through these calls:
// the POSIX conformance makes system calls, CheckpointTesting's SimulatedDisk keeps two levels of
// state in memory. Each call is one system call without retries; EINTR is handled in
// InterruptRetryingBackend.swift and short transfers in StorageBackend+Transfers.swift, both above
// the conformances, so that faults reach them.

/// A file or directory that a backend has opened.
package struct Descriptor: Hashable, Sendable {
  package let rawValue: Int32

  package init(rawValue: Int32) { self.rawValue = rawValue }
}

/// What a file is opened for; each case fixes the flags of open(2).
package enum OpenPurpose: Hashable, Sendable {
  /// Read only, never through a symbolic link, never blocking on a FIFO.
  case reading
  /// A new file for reading and writing; fails with EEXIST if the name is taken.
  case creating(permissions: UInt32)
  /// A lock file, created if absent and never truncated.
  case locking(permissions: UInt32)
}

/// What a name stands for.
package enum FileKind: Hashable, Sendable {
  case regular, directory, symbolicLink, other
}

/// The part of stat(2) that the library looks at.
package struct FileStatus: Hashable, Sendable {
  package var kind: FileKind
  package var byteCount: UInt64
  /// With ``inode``: which file this is, while it is open; never stored.
  package var device: UInt64
  package var inode: UInt64
  /// The low twelve bits of the mode.
  package var permissions: UInt32

  package init(
    kind: FileKind, byteCount: UInt64, device: UInt64, inode: UInt64, permissions: UInt32
  ) {
    self.kind = kind
    self.byteCount = byteCount
    self.device = device
    self.inode = inode
    self.permissions = permissions
  }

  /// Whether both describe the same file.
  package func isSameFile(as other: FileStatus) -> Bool {
    device == other.device && inode == other.inode
  }
}

/// How a file is locked by flock(2).
package enum LockKind: Hashable, Sendable {
  case shared, exclusive
}

/// What transfers of an open file do with the page cache.
package enum Caching: Hashable, Sendable {
  case cached
  /// Transfers go past it. Their offset, length and memory must be aligned, to a page at the most;
  /// the system refuses others with EINVAL.
  case uncached
}

/// Room on the file system that holds a directory.
package struct FileSystemSpace: Hashable, Sendable {
  /// Bytes that an ordinary user may still write.
  package var availableByteCount: UInt64

  package init(availableByteCount: UInt64) { self.availableByteCount = availableByteCount }
}

/// The system calls the library needs, relative to open directories.
///
/// Conformances are safe to call from several threads at once. Every call either takes effect or
/// throws; a transfer may be shorter than asked.
package protocol StorageBackend: AnyObject, Sendable {
  /// open(2) with `O_RDONLY|O_DIRECTORY|O_CLOEXEC`. Symbolic links in `path` are followed.
  func openDirectory(_ path: String) throws(StorageError) -> Descriptor
  /// mkdir(2).
  func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError)
  /// openat(2) with `O_NOFOLLOW|O_CLOEXEC` and, for reading, `O_NONBLOCK`.
  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor
  /// close(2). The descriptor is gone whether or not this throws.
  func close(_ descriptor: Descriptor) throws(StorageError)

  /// pread(2). Returns the bytes read, at most 1 GiB a call; 0 at the end of the file.
  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int
  /// preadv(2): fills the buffers one behind the other. Returns the bytes read of all together, which may be
  /// fewer than there are in the file; without a system call of its own, one ``read(_:into:at:)`` for each.
  func read(
    _ descriptor: Descriptor, intoEach buffers: [UnsafeMutableRawBufferPointer],
    at offset: UInt64
  ) throws(StorageError) -> Int
  /// Has the system read on behind an offset that somebody reads at now; told about once for each MiB, on the way
  /// to the end. Advice, which cannot fail; nothing on systems that need none.
  func readOn(_ descriptor: Descriptor, from offset: UInt64)
  /// pwrite(2). Returns the bytes written, at most 1 GiB a call.
  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int
  /// fsync(2) of a file or directory; `F_FULLFSYNC` where the platform needs it.
  func sync(_ descriptor: Descriptor) throws(StorageError)
  /// fallocate(2) with `FALLOC_FL_KEEP_SIZE`: reserves room without changing the size.
  func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError)
  /// fcntl(2) with `O_DIRECT`, or `F_NOCACHE` on Darwin, of a file opened by ``OpenPurpose/creating``.
  ///
  /// A file system without direct transfers refuses here or at the first of them. Nothing becomes
  /// durable by it: only ``sync(_:)`` does that.
  func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError)
  /// sync_file_range(2) with `SYNC_FILE_RANGE_WRITE`: has the system begin to write a range back.
  ///
  /// Nothing becomes durable by it either: it only leaves less to do for ``sync(_:)``.
  func startWriteBack(_ descriptor: Descriptor, _ range: Range<UInt64>) throws(StorageError)
  /// ftruncate(2).
  func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError)
  /// fchmod(2).
  func setPermissions(_ descriptor: Descriptor, _ permissions: UInt32) throws(StorageError)
  /// posix_fadvise(2) with `POSIX_FADV_DONTNEED` over the whole file: later reads ask the device.
  func dropCache(_ descriptor: Descriptor) throws(StorageError)

  /// fstat(2).
  func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus
  /// fstatat(2) with `AT_SYMLINK_NOFOLLOW`.
  func status(_ name: String, in directory: Descriptor) throws(StorageError) -> FileStatus
  /// The names in a directory, in no particular order, without `.` and `..`.
  func list(_ directory: Descriptor) throws(StorageError) -> [String]
  /// fstatfs(2).
  func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace

  /// flock(2) with `LOCK_NB`. Returns false if another open file holds a conflicting lock.
  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool

  /// renameat2(2) with `RENAME_NOREPLACE`: fails with EEXIST if `target` exists.
  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError)
  /// renameat(2): `target` is the one file or the other at every moment, if it exists.
  func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError)
  /// linkat(2): gives the file a second name; fails with EEXIST if `target` exists.
  func link(_ name: String, to target: String, in directory: Descriptor) throws(StorageError)
  /// unlinkat(2) of a file.
  func unlink(_ name: String, in directory: Descriptor) throws(StorageError)
}
