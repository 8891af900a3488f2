#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Transfers, and the calls that ask without changing anything.

extension PosixBackend {
  package func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    let start = try Self.fileOffset(offset, in: .read)
    let byteCount = min(buffer.count, Self.transferByteCountMax)
    // SAFETY: the kernel writes at most `byteCount` bytes, which the buffer holds.
    let count = unsafe pread(descriptor.rawValue, buffer.baseAddress, byteCount, start)
    if count < 0 { throw StorageError(.read, errno: errno) }
    return count
  }

  package func read(
    _ descriptor: Descriptor, intoEach buffers: [UnsafeMutableRawBufferPointer],
    at offset: UInt64
  ) throws(StorageError) -> Int {
    let start = try Self.fileOffset(offset, in: .read)
    guard unsafe !buffers.isEmpty else { return 0 }  // Darwin refuses to read into nothing
    var vectors: [iovec] = unsafe []
    unsafe vectors.reserveCapacity(min(buffers.count, Self.vectorCountMax))
    var byteCount = 0
    for place in unsafe buffers.indices.prefix(Self.vectorCountMax) {
      let buffer = unsafe buffers[place]
      // What is too much for one call is left out, as in a transfer that is short.
      let length = min(buffer.count, Self.transferByteCountMax - byteCount)
      unsafe vectors.append(iovec(iov_base: buffer.baseAddress, iov_len: length))
      byteCount += length
    }
    // SAFETY: the kernel writes at most what each of the buffers holds, which the caller lends.
    let count = unsafe preadv(descriptor.rawValue, vectors, Int32(vectors.count), start)
    if count < 0 { throw StorageError(.read, errno: errno) }
    return count
  }

  package func readOn(_ descriptor: Descriptor, from offset: UInt64) {
    guard let start = off_t(exactly: offset) else { return }
    Platform.readOn(descriptor.rawValue, from: start)
  }

  package func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    let start = try Self.fileOffset(offset, in: .write)
    // SAFETY: the kernel reads at most the bytes of the span; a null address comes with count 0.
    let count = unsafe bytes.withUnsafeBytes { buffer in
      let byteCount = min(buffer.count, Self.transferByteCountMax)
      let count = unsafe pwrite(descriptor.rawValue, buffer.baseAddress, byteCount, start)
      return count < 0 ? -Int(errno) : count
    }
    if count < 0 { throw StorageError(.write, errno: Int32(-count)) }
    return count
  }

  package func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    var record = stat()
    // SAFETY: the kernel fills the record, which is ours.
    let result = unsafe fstat(descriptor.rawValue, &record)
    if result != 0 { throw StorageError(.status, errno: errno) }
    return FileStatus(record)
  }

  package func status(
    _ name: String, in directory: Descriptor
  ) throws(StorageError) -> FileStatus {
    var record = stat()
    // SAFETY: as above.
    _ = try unsafe withCString(name, in: .status) {
      unsafe Self.resultOrError(
        fstatat(directory.rawValue, $0, &record, AT_SYMLINK_NOFOLLOW))
    }
    return FileStatus(record)
  }

  package func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    var availableByteCount: UInt64 = 0
    try Self.check(
      .space, Platform.availableByteCount(directory.rawValue, into: &availableByteCount))
    return FileSystemSpace(availableByteCount: availableByteCount)
  }

  package func list(_ directory: Descriptor) throws(StorageError) -> [String] {
    // A fresh open file: readdir moves its offset, which descriptors from dup would share.
    let fresh = try Descriptor(
      rawValue: unsafe withCString(".", in: .open) {
        unsafe Self.resultOrError(
          openat(directory.rawValue, $0, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
      })
    // SAFETY: the descriptor is ours; on success the stream owns it, and closedir frees both.
    guard let stream = unsafe fdopendir(fresh.rawValue) else {
      let error = errno
      try? close(fresh)  // nothing was read through it; the first error is the one to report
      throw StorageError(.list, errno: error)
    }
    defer { unsafe _ = closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0  // readdir returns null at the end as well as for an error
      // SAFETY: the stream is open, and no other thread knows it.
      guard let entry = unsafe readdir(stream) else {
        let error = errno
        if error != 0 { throw StorageError(.list, errno: error) }
        return names
      }
      let name = unsafe Self.name(of: entry)
      if name != "." && name != ".." { names.append(name) }
    }
  }

  /// The name in a directory entry.
  ///
  /// One that is not UTF-8 is repaired, and so cannot be opened: it is not ours.
  @unsafe private static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
    // The name is read in place: the entry ends with it, often before the end of the type.
    // SAFETY: readdir ends the name with a NUL inside the entry.
    guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return "." }
    let start = unsafe UnsafeRawPointer(entry) + offset
    return unsafe String(cString: start.assumingMemoryBound(to: CChar.self))
  }
}

extension FileStatus {
  // The macros cannot be named from Swift on every platform; POSIX systems agree on the values.
  private static let kindMask: UInt32 = 0o170000
  private static let kinds: [UInt32: FileKind] = [
    0o100000: .regular, 0o040000: .directory, 0o120000: .symbolicLink,
  ]

  fileprivate init(_ record: stat) {
    let mode = UInt32(record.st_mode)
    self.init(
      kind: Self.kinds[mode & Self.kindMask] ?? .other,
      byteCount: UInt64(clamping: record.st_size),
      device: UInt64(truncatingIfNeeded: record.st_dev),
      inode: UInt64(truncatingIfNeeded: record.st_ino), permissions: mode & 0o7777)
  }
}
