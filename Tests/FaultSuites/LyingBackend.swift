import CheckpointStorage
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A disk behind a liar.
final class LyingBackend: ForwardingBackend {
  let base: any StorageBackend
  private let lie: StorageLie
  private let storePath: String
  private let known = Protected(Known())

  /// What the descriptors stand for, so that asking costs no call of the disk.
  private struct Known {
    var names: [Int32: String] = [:]
    var directories: [Int32: String] = [:]
  }

  init(_ disk: any StorageBackend, _ lie: StorageLie, storePath: String) {
    base = disk
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
    let descriptor = try base.openDirectory(path)
    known.withLock { $0.directories[descriptor.rawValue] = path }
    return descriptor
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    let descriptor: Descriptor
    do throws(StorageError) {
      descriptor = try base.open(name, in: directory, for: purpose)
    } catch {
      guard lie == .creatingReusesAFile, error.errno == EEXIST,
        case .creating(let permissions) = purpose
      else { throw error }
      descriptor = try base.open(name, in: directory, for: .locking(permissions: permissions))
    }
    known.withLock { $0.names[descriptor.rawValue] = name }
    return descriptor
  }

  func close(_ descriptor: Descriptor) throws(StorageError) {
    do throws(StorageError) {
      try base.close(descriptor)
    } catch {
      if lie != .closeErrorHidden { throw error }
    }
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    do throws(StorageError) {
      let count = try base.write(descriptor, bytes, at: offset)
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
      case .directorySyncErrorHidden: try? base.sync(descriptor)
      default: try base.sync(descriptor)
      }
      return
    }
    switch lie {
    case .fileSyncDropped: return
    case .fileSyncErrorHidden: try? base.sync(descriptor)
    case .renameBeforeSync where name(descriptor).hasSuffix(".tmp"): return
    case .fileSyncRepeated:
      for _ in 0..<3 { if (try? base.sync(descriptor)) != nil { return } }
      try base.sync(descriptor)
    default: try base.sync(descriptor)
    }
  }

  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    let name = name(descriptor)
    switch lie {
    case .writersLockSkipped where name == ".lock": return true
    case .temporarysLockSkipped where name.hasSuffix(".tmp") && kind == .exclusive:
      // The one that creates it does not lock it; the janitor finds nobody in its way.
      return true
    case .victimsLockSkipped where name.hasSuffix(".ckpt") && kind == .exclusive: return true
    default: return try base.lock(descriptor, kind)
    }
  }

  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    do throws(StorageError) {
      try base.renameExclusively(name, to: target, in: directory)
    } catch {
      switch lie {
      case .renameErrorHidden: return
      case .publishingReplaces where error.errno == EEXIST:
        try base.unlink(target, in: directory)
        try base.renameExclusively(name, to: target, in: directory)
      default: throw error
      }
    }
    if lie == .renameBeforeSync {
      let file = try base.open(target, in: directory, for: .reading)
      try base.sync(file)
      try base.close(file)
    }
  }
}
