internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

extension CheckpointStore {
  /// Keeps retention from removing a checkpoint, until ``unpin(_:)``.
  ///
  /// The pin is an empty file beside the checkpoint, `.pin-` and its identifier; it is durable when this
  /// returns, and may be set while another process has the store open for writing. Retention that has just
  /// decided looks for it once more before it removes a file.
  ///
  /// - Parameter entry: One of ``entries()`` with a header.
  /// - Throws: ``CheckpointError``: `.notFound` if the file is gone, `.corrupted` if it has no header, `.io`.
  public func pin(_ entry: StoreEntry) throws(CheckpointError) {
    let marker = try marker(of: entry)
    // Retention takes the exclusive lock of what it removes: it cannot while this is held.
    let held = try directory.openHeld(entry.name)
    defer { withExtendedLifetime(held) {} }
    do {
      let mode = options.permissions.ofNewFile
      let file = try directory.backend.open(
        marker, in: directory.descriptor, for: .creating(permissions: mode))
      try directory.backend.close(file)
    } catch let error where error.errno == EEXIST {
      // It is pinned already, and durably once the directory is synced.
    } catch {
      throw CheckpointError(writing: directory.path(of: marker), error)
    }
    try directory.sync()
    // Where files cannot be locked, retention may have been faster.
    do {
      _ = try directory.backend.status(entry.name, in: directory.descriptor)
    } catch {
      throw CheckpointError(reading: entry.path, error)
    }
  }

  /// Lets retention remove a checkpoint again; one that is not pinned stays so.
  ///
  /// - Parameter entry: One of ``entries()`` with a header.
  /// - Throws: ``CheckpointError``: `.corrupted` if it has no header, `.io`.
  public func unpin(_ entry: StoreEntry) throws(CheckpointError) {
    let marker = try marker(of: entry)
    do {
      try directory.backend.unlink(marker, in: directory.descriptor)
    } catch let error where error.errno == ENOENT {
      return
    } catch {
      throw CheckpointError(writing: directory.path(of: marker), error)
    }
    try directory.sync()
  }

  private func marker(of entry: StoreEntry) throws(CheckpointError) -> String {
    guard let identifier = entry.header?.checkpointIdentifier else {
      throw entry.problem
        ?? CheckpointError(.corrupted, "\(escaped(entry.path)) has no header that names it.")
    }
    return CheckpointName.pin(identifier).text
  }
}
