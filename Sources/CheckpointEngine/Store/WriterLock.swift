internal import CheckpointFormat
internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The one writer's lock on a store: flock(2) on `.lock`, which is never unlinked.
///
/// The kernel drops the lock when the process dies, so it is never stale. The process number in
/// the file is for the error message only.
final class WriterLock {
  private let directory: StoreDirectory
  private let descriptor: Descriptor

  /// Takes the lock, waiting up to `timeout` seconds.
  init(
    _ directory: StoreDirectory, permissions: FilePermissions, timeout: Double
  ) throws(CheckpointError) {
    self.directory = directory
    let backend = directory.backend
    let path = directory.path(of: CheckpointName.lock)
    do {
      descriptor = try backend.open(
        CheckpointName.lock, in: directory.descriptor,
        for: .locking(permissions: permissions.ofNewFile))
    } catch {
      throw CheckpointError(writing: path, error)
    }
    if permissions.policy == .inherit { inheritPermissions() }
    try acquire(timeout: timeout)  // If it throws, deinit closes: every property is set.
    writeHolder()
  }

  deinit {
    // Closing releases the lock; nothing of value was written.
    try? directory.backend.close(descriptor)
  }

  /// Lets whoever may write the directory take the lock; only the owner of the file can, and must.
  private func inheritPermissions() {
    guard let status = try? directory.backend.status(directory.descriptor) else { return }
    try? directory.backend.setPermissions(descriptor, status.permissions & 0o666)
  }

  private func acquire(timeout: Double) throws(CheckpointError) {
    let backend = directory.backend
    let path = directory.path(of: CheckpointName.lock)
    let time = directory.device.timeSource
    let start = time.monotonic()
    while true {
      let isLocked: Bool
      do {
        isLocked = try backend.lock(descriptor, .exclusive)
      } catch {
        throw CheckpointError(writing: path, error)
      }
      if isLocked { return }
      let waited = Double(time.monotonic() - start) / 1e9
      guard waited < timeout else {
        throw CheckpointError(
          .busy,
          "\(escaped(directory.path)) is open for writing by \(holder)"
            + (timeout > 0 ? ", still after \(timeout) seconds" : "")
            + ". Wait for it to end, stop it, or use another directory.",
          at: CheckpointError.Location(path: path))
      }
      time.sleep(50_000_000)
    }
  }

  private var holder: String {
    let bytes = unsafe try? [UInt8](filling: 32) { buffer in
      // SAFETY: `filling` lends the buffer for this call; it is initialised whole before it is read.
      unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
      _ = unsafe try directory.backend.readFully(descriptor, into: buffer, at: 0)
    }
    let digits = String(decoding: (bytes ?? []).prefix { (48...57).contains($0) }, as: UTF8.self)
    return digits.isEmpty ? "another process" : "process \(digits)"
  }

  private func writeHolder() {
    // Without a number in it, the file serves all the same.
    try? directory.backend.truncate(descriptor, to: 0)
    try? directory.backend.writeAll(descriptor, Array("\(getpid())\n".utf8).rawSpan, at: 0)
  }
}
