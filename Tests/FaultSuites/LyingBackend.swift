import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A disk behind a liar.
final class LyingBackend: StorageBackend {
  private let disk: any StorageBackend
  private let lie: StorageLie
  private let storePath: String
  private let known = Protected(Known())

  /// What the descriptors stand for, so that asking costs no call of the disk.
  private struct Known {
    var names: [Int32: String] = [:]
    var directories: [Int32: String] = [:]
  }

  init(_ disk: any StorageBackend, _ lie: StorageLie, storePath: String) {
    self.disk = disk
    self.lie = lie
    self.storePath = storePath
  }

  private func directory(_ descriptor: Descriptor) -> String? {
    known.withLock { $0.directories[descriptor.rawValue] }
  }

  private func name(_ descriptor: Descriptor) -> String {
    known.withLock { $0.names[descriptor.rawValue] ?? "" }
  }

  func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    let descriptor = try disk.openDirectory(path)
    known.withLock { $0.directories[descriptor.rawValue] = path }
    return descriptor
  }

  func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    try disk.makeDirectory(path, permissions: permissions)
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    let descriptor: Descriptor
    do throws(StorageError) {
      descriptor = try disk.open(name, in: directory, for: purpose)
    } catch {
      guard lie == .creatingReusesAFile, error.errno == EEXIST,
        case .creating(let permissions) = purpose
      else { throw error }
      descriptor = try disk.open(name, in: directory, for: .locking(permissions: permissions))
    }
    known.withLock { $0.names[descriptor.rawValue] = name }
    return descriptor
  }

  func close(_ descriptor: Descriptor) throws(StorageError) {
    do throws(StorageError) {
      try disk.close(descriptor)
    } catch {
      if lie != .closeErrorHidden { throw error }
    }
  }

  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    // SAFETY: the caller's buffer is passed on for this call only.
    unsafe try disk.read(descriptor, into: buffer, at: offset)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    do throws(StorageError) {
      let count = try disk.write(descriptor, bytes, at: offset)
      return lie == .shortWriteTakenForWhole ? bytes.byteCount : count
    } catch {
      if lie == .writeErrorHidden { return bytes.byteCount }
      throw error
    }
  }

  func sync(_ descriptor: Descriptor) throws(StorageError) {
    if let path = directory(descriptor) {
      switch lie {
      case .directorySyncDropped where path == storePath: return
      case .createdDirectorySyncDropped where path != storePath: return
      case .directorySyncErrorHidden: try? disk.sync(descriptor)
      default: try disk.sync(descriptor)
      }
      return
    }
    switch lie {
    case .fileSyncDropped: return
    case .fileSyncErrorHidden: try? disk.sync(descriptor)
    case .renameBeforeSync where name(descriptor).hasSuffix(".tmp"): return
    case .fileSyncRepeated:
      for _ in 0..<3 { if (try? disk.sync(descriptor)) != nil { return } }
      try disk.sync(descriptor)
    default: try disk.sync(descriptor)
    }
  }

  func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    try disk.preallocate(descriptor, byteCount: byteCount)
  }

  func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    try disk.truncate(descriptor, to: byteCount)
  }

  func setPermissions(
    _ descriptor: Descriptor, _ permissions: UInt32
  ) throws(StorageError) {
    try disk.setPermissions(descriptor, permissions)
  }

  func dropCache(_ descriptor: Descriptor) throws(StorageError) {
    try disk.dropCache(descriptor)
  }

  func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    try disk.status(descriptor)
  }

  func status(
    _ name: String, in directory: Descriptor
  ) throws(StorageError) -> FileStatus {
    try disk.status(name, in: directory)
  }

  func list(_ directory: Descriptor) throws(StorageError) -> [String] {
    try disk.list(directory)
  }

  func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    try disk.space(directory)
  }

  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    let name = name(descriptor)
    switch lie {
    case .writersLockSkipped where name == ".lock": return true
    case .temporarysLockSkipped where name.hasSuffix(".tmp") && kind == .exclusive:
      // The one that creates it does not lock it; the janitor finds nobody in its way.
      return true
    case .victimsLockSkipped where name.hasSuffix(".ckpt") && kind == .exclusive: return true
    default: return try disk.lock(descriptor, kind)
    }
  }

  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    do throws(StorageError) {
      try disk.renameExclusively(name, to: target, in: directory)
    } catch {
      switch lie {
      case .renameErrorHidden: return
      case .publishingReplaces where error.errno == EEXIST:
        try disk.unlink(target, in: directory)
        try disk.renameExclusively(name, to: target, in: directory)
      default: throw error
      }
    }
    if lie == .renameBeforeSync {
      let file = try disk.open(target, in: directory, for: .reading)
      try disk.sync(file)
      try disk.close(file)
    }
  }

  func link(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try disk.link(name, to: target, in: directory)
  }

  func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    try disk.unlink(name, in: directory)
  }
}
