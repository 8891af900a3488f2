internal import CheckpointStorage

/// The real system calls, some of them left out, and something done after each.
final class MeddlingBackend: StorageBackend {
  /// What a writer leaves out of the protocol.
  enum Writer: String, CaseIterable {
    case ours
    case noFileSync = "no-file-sync"
    case noDirectorySync = "no-directory-sync"
    case naive
    case retrySync = "retry-sync"
    case noWriteCheck = "no-write-check"

    /// Whether room is reserved before writing and what is left of it released.
    ///
    /// XFS writes a file's data out when it is cut to its length, which would hide that the sync
    /// is missing.
    var reservesRoom: Bool { self != .naive && self != .noFileSync && self != .retrySync }
  }

  private let real = PosixBackend()
  private let writer: Writer
  private let neighbour: Int32?
  private let shutDownIndex: Int?
  private let shutDownFlag: UInt32
  private let mountPath: String
  private let callCount = Protected(0)
  /// Descriptors of directories: to ask for their kind would be a call that the writer does not make,
  /// and that fails where its own does not.
  private let directories = Protected(Set<Int32>())

  init(
    writer: Writer, neighbourPath: String?, shutDownIndex: Int?, shutDownFlag: UInt32,
    mountPath: String
  ) {
    self.writer = writer
    neighbour = neighbourPath.map { SystemCalls.openForWriting($0, creating: true) }
    self.shutDownIndex = shutDownIndex
    self.shutDownFlag = shutDownFlag
    self.mountPath = mountPath
    if shutDownIndex == 0 { shutDown() }
  }

  /// How many calls changed something.
  var count: Int { callCount.withLock { $0 } }

  private func changed() {
    let count = callCount.withLock {
      $0 += 1
      return $0
    }
    if count == shutDownIndex { shutDown() }
    if let neighbour {
      SystemCalls.overwriteAndSync(
        UInt8(truncatingIfNeeded: count), of: neighbour, at: count % 4096)
    }
  }

  private func shutDown() {
    precondition(
      SystemCalls.shutDown(mountPath, flag: shutDownFlag), "this file system cannot be shut down")
  }

  func sync(_ descriptor: Descriptor) throws(StorageError) {
    defer { changed() }
    let isDirectory = directories.withLock { $0.contains(descriptor.rawValue) }
    switch writer {
    case .ours, .noWriteCheck: try real.sync(descriptor)
    case .noFileSync: if isDirectory { try real.sync(descriptor) }
    case .noDirectorySync: if !isDirectory { try real.sync(descriptor) }
    case .naive: break
    case .retrySync:
      for _ in 0..<10 where (try? real.sync(descriptor)) != nil { return }
      try real.sync(descriptor)
    }
  }

  func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    guard writer.reservesRoom else { return }
    defer { changed() }
    try real.preallocate(descriptor, byteCount: byteCount)
  }

  // MARK: Calls that change something

  func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    defer { changed() }
    try real.makeDirectory(path, permissions: permissions)
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    defer { if purpose != .reading { changed() } }
    return try real.open(name, in: directory, for: purpose)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    defer { changed() }
    do {
      return try real.write(descriptor, bytes, at: offset)
    } catch {
      guard writer == .noWriteCheck else { throw error }
      // The kernel lets everything after a failed write succeed, also on a file with a hole.
      let byteCount = try real.status(descriptor).byteCount
      try real.truncate(descriptor, to: max(byteCount, offset + UInt64(bytes.byteCount)))
      return bytes.byteCount
    }
  }

  func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    guard writer.reservesRoom else { return }
    defer { changed() }
    try real.truncate(descriptor, to: byteCount)
  }

  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    defer { changed() }
    try real.renameExclusively(name, to: target, in: directory)
  }

  func link(_ name: String, to target: String, in directory: Descriptor) throws(StorageError) {
    defer { changed() }
    try real.link(name, to: target, in: directory)
  }

  func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    defer { changed() }
    try real.unlink(name, in: directory)
  }

  // MARK: Calls that do not

  func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    let descriptor = try real.openDirectory(path)
    directories.withLock { _ = $0.insert(descriptor.rawValue) }
    return descriptor
  }

  func close(_ descriptor: Descriptor) throws(StorageError) {
    directories.withLock { _ = $0.remove(descriptor.rawValue) }
    try real.close(descriptor)
  }

  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    // SAFETY: the buffer is the caller's and is passed on as it is.
    try unsafe real.read(descriptor, into: buffer, at: offset)
  }

  func setPermissions(_ descriptor: Descriptor, _ permissions: UInt32) throws(StorageError) {
    try real.setPermissions(descriptor, permissions)
  }

  func dropCache(_ descriptor: Descriptor) throws(StorageError) { try real.dropCache(descriptor) }

  func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    try real.status(descriptor)
  }

  func status(_ name: String, in directory: Descriptor) throws(StorageError) -> FileStatus {
    try real.status(name, in: directory)
  }

  func list(_ directory: Descriptor) throws(StorageError) -> [String] { try real.list(directory) }

  func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    try real.space(directory)
  }

  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    try real.lock(descriptor, kind)
  }
}
