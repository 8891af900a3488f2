internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// An open directory; every later call is relative to it, so renaming a parent cannot redirect us.
package final class StoreDirectory: Sendable {
  package let device: StorageDevice
  package let path: String
  package let descriptor: Descriptor

  package var backend: any StorageBackend { device.backend }

  private init(device: StorageDevice, path: String, descriptor: Descriptor) {
    self.device = device
    self.path = path
    self.descriptor = descriptor
  }

  deinit {
    // Nothing was written through a directory's descriptor: closing it cannot lose anything.
    try? backend.close(descriptor)
  }

  /// Opens a directory that exists.
  package static func open(
    _ path: String, on device: StorageDevice
  ) throws(CheckpointError) -> StoreDirectory {
    do {
      let descriptor = try device.backend.openDirectory(path)
      return StoreDirectory(device: device, path: path, descriptor: descriptor)
    } catch {
      let (code, _) = CheckpointError.readingCode(error.errno)
      let advice =
        code == .notFound
        ? "Check the path." : "Check its permissions, and those of the directories above it."
      throw CheckpointError(
        code,
        "Cannot open the directory \(escaped(path)): \(CheckpointError.sentence(error)). \(advice)",
        at: CheckpointError.Location(path: path), systemCall: error.call.rawValue,
        errno: error.errno)
    }
  }

  /// Opens a directory, creating it and its missing ancestors.
  ///
  /// Each directory that was created is durable when this returns: one fsync of each parent. An
  /// empty one counts as created, since a program may have been killed between mkdir and fsync.
  package static func openCreating(
    _ path: String, permissions: FilePermissions, on device: StorageDevice
  ) throws(CheckpointError) -> StoreDirectory {
    do {
      let directory = try open(path, on: device)
      #if Mutants
        if Mutant.isActive(.emptyDirectoryTrusted) { return directory }
      #endif
      if try directory.names().isEmpty { try directory.syncParent() }
      return directory
    } catch let error where error.errno == ENOENT {
      let parent = try openCreating(parentPath(path), permissions: permissions, on: device)
      do {
        try device.backend.makeDirectory(path, permissions: permissions.ofDirectory)
      } catch let error where error.errno == EEXIST {
        // Somebody else made it meanwhile, and may not have made it durable yet: so do we.
      } catch {
        throw CheckpointError(writing: path, error)
      }
      try parent.sync()
      return try open(path, on: device)
    }
  }

  /// Makes the directory's own name durable, as far as that is ours to do: what mounted it sees to
  /// a mount point, and in a parent that we may not open we cannot have made it.
  private func syncParent() throws(CheckpointError) {
    guard let parent = try? Self.open(path(of: ".."), on: device),
      let above = try? backend.status(parent.descriptor),
      let own = try? backend.status(descriptor), above.device == own.device
    else { return }
    try parent.sync()
  }

  /// The names in the directory.
  package func names() throws(CheckpointError) -> [String] {
    do {
      return try backend.list(descriptor)
    } catch {
      throw CheckpointError(reading: path, error)
    }
  }

  /// The directory with a descriptor that has seen no error yet; nil if the path leads elsewhere
  /// by now, as after a rename or a change of the working directory.
  package func reopened() -> StoreDirectory? {
    guard let other = try? Self.open(path, on: device),
      let own = try? backend.status(descriptor),
      (try? backend.status(other.descriptor))?.isSameFile(as: own) == true
    else { return nil }
    return other
  }

  /// fsync of the directory: its entries are durable when this returns.
  ///
  /// XFS that has shut itself down, after an error of its log for instance, has forgotten the names
  /// that were not in the log, and yet reports success: xfs_dir_fsync finds nothing left to wait
  /// for. fstat fails from then on.
  package func sync() throws(CheckpointError) {
    do {
      try backend.sync(descriptor)
      #if Mutants
        if Mutant.isActive(.shutdownOverlooked) { return }
      #endif
      _ = try backend.status(descriptor)
    } catch {
      throw CheckpointError(writing: path, error)
    }
  }

  /// Makes a name durable that has just been given to a sealed file.
  ///
  /// - Throws: ``CheckpointError``: `.durabilityUnknown`.
  func syncPublished(_ name: String) throws(CheckpointError) {
    do {
      try sync()
    } catch {
      throw CheckpointError(
        .durabilityUnknown,
        "\(escaped(path(of: name))) is complete and in place, but its name may not "
          + "survive a power cut: \(error.systemCall ?? "fsync") of the directory failed with "
          + "\(errnoName(error.errno ?? 0)). Save again to be sure.",
        at: error.location, systemCall: error.systemCall, errno: error.errno)
    }
  }

  /// Renames an entry, without replacing anything.
  ///
  /// Where the file system cannot do that in one step, a failure may leave both names.
  func renameExclusively(_ name: String, to target: String) throws(StorageError) {
    do {
      try backend.renameExclusively(name, to: target, in: descriptor)
    } catch let error where [EINVAL, ENOSYS, ENOTSUP].contains(error.errno) {
      // A link cannot replace either.
      try backend.link(name, to: target, in: descriptor)
      try? backend.unlink(name, in: descriptor)
    }
  }

  /// Bytes that may still be written here; nil if the system does not tell.
  package var availableByteCount: UInt64? {
    (try? backend.space(descriptor))?.availableByteCount
  }

  /// The path of an entry, for messages.
  package func path(of name: String) -> String {
    path.hasSuffix("/") ? path + name : path + "/" + name
  }

  package static func parentPath(_ path: String) -> String {
    split(path).directory
  }

  /// The directory and the last component of a path.
  package static func split(_ path: String) -> (directory: String, name: String) {
    var trimmed = path[...]
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    guard let slash = trimmed.lastIndex(of: "/") else { return (".", String(trimmed)) }
    let name = String(trimmed[trimmed.index(after: slash)...])
    let directory = trimmed[..<slash]
    return (directory.isEmpty ? "/" : String(directory), name)
  }
}

/// Who may read what a store writes.
public struct FilePermissions: Hashable, Sendable {
  package enum Policy: Hashable, Sendable { case `private`, umask, inherit }
  package let policy: Policy

  /// Files 0600, directories 0700: weights and arguments are nobody else's business.
  public static let `private` = FilePermissions(policy: .private)
  /// What the process's umask leaves of 0666 and 0777.
  public static let umask = FilePermissions(policy: .umask)
  /// Files as readable and writable as the store's directory; new directories follow the umask.
  public static let inherit = FilePermissions(policy: .inherit)

  var ofDirectory: UInt32 { policy == .private ? 0o700 : 0o777 }
  var ofNewFile: UInt32 { policy == .umask ? 0o666 : 0o600 }
}
