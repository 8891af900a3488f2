internal import CheckpointStorage
internal import CheckpointTesting

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The real system calls, some of them left out, and something done after each.
final class MeddlingBackend: ForwardingBackend {
  /// What a writer leaves out of the protocol.
  enum Writer: String, CaseIterable {
    case ours
    /// As ours where there are no transfers past the page cache.
    case oursCached = "ours-cached"
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

    /// Whether it may go past the page cache, or have it written back early.
    ///
    /// Both would hide that the sync of the file is missing, or that its error was lost.
    var isEarly: Bool { self == .ours || self == .oursCached || self == .noDirectorySync }
  }

  let base: any StorageBackend = PosixBackend()
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
    case .ours, .oursCached, .noWriteCheck: try base.sync(descriptor)
    case .noFileSync: if isDirectory { try base.sync(descriptor) }
    case .noDirectorySync: if !isDirectory { try base.sync(descriptor) }
    case .naive: break
    case .retrySync:
      for _ in 0..<10 where (try? base.sync(descriptor)) != nil { return }
      try base.sync(descriptor)
    }
  }

  func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    guard writer.reservesRoom else { return }
    defer { changed() }
    try base.preallocate(descriptor, byteCount: byteCount)
  }

  // MARK: Calls that change something

  func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    defer { changed() }
    try base.makeDirectory(path, permissions: permissions)
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    defer { if purpose != .reading { changed() } }
    return try base.open(name, in: directory, for: purpose)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    defer { changed() }
    do {
      return try base.write(descriptor, bytes, at: offset)
    } catch {
      guard writer == .noWriteCheck else { throw error }
      // The kernel lets everything after a failed write succeed, also on a file with a hole.
      let byteCount = try base.status(descriptor).byteCount
      try base.truncate(descriptor, to: max(byteCount, offset + UInt64(bytes.byteCount)))
      return bytes.byteCount
    }
  }

  func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    guard writer.reservesRoom else { return }
    defer { changed() }
    try base.truncate(descriptor, to: byteCount)
  }

  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    defer { changed() }
    try base.renameExclusively(name, to: target, in: directory)
  }

  func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    defer { changed() }
    try base.renameReplacing(name, to: target, in: directory)
  }

  func link(_ name: String, to target: String, in directory: Descriptor) throws(StorageError) {
    defer { changed() }
    try base.link(name, to: target, in: directory)
  }

  func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    defer { changed() }
    try base.unlink(name, in: directory)
  }

  // MARK: Calls that do not

  func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    guard writer.isEarly, writer != .oursCached else {
      throw StorageError(.setCaching, errno: EINVAL)
    }
    try base.setCaching(descriptor, caching)
  }

  func startWriteBack(_ descriptor: Descriptor, _ range: Range<UInt64>) throws(StorageError) {
    if writer.isEarly { try base.startWriteBack(descriptor, range) }
  }

  func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    let descriptor = try base.openDirectory(path)
    directories.withLock { _ = $0.insert(descriptor.rawValue) }
    return descriptor
  }

  func close(_ descriptor: Descriptor) throws(StorageError) {
    directories.withLock { _ = $0.remove(descriptor.rawValue) }
    try base.close(descriptor)
  }
}
