internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

extension StoreDirectory {
  /// Opens a file and takes its shared lock, so that retention leaves it alone.
  ///
  /// Between opening and locking, retention may have removed the name; then the name is tried again
  /// until it is gone. Where locks do not work the file is opened all the same: reading needs only
  /// the descriptor.
  func openHeld(_ name: String) throws(CheckpointError) -> OpenFile {
    var attempt = 0
    while true {
      attempt += 1
      let file = try OpenFile.open(name, in: self)
      let locked = try? retryingInterrupts { () throws(StorageError) -> Bool in
        try backend.lock(file.descriptor, .shared)
      }
      let isLocked = locked ?? true
      if isLocked, isNamed(name, file) { return file }
      // Whoever holds it exclusively, a forked child of its writer say, keeps nobody from reading.
      if attempt >= 100, isNamed(name, file) { return file }
      guard attempt < 100 else {
        throw CheckpointError(
          .unreadable,
          "\(escaped(file.path)) is being removed or replaced again and again. Try once more.",
          at: CheckpointError.Location(path: file.path))
      }
      device.timeSource.sleep(1_000_000)
    }
  }

  /// Whether the name stands for the file still, as far as can be told.
  private func isNamed(_ name: String, _ file: OpenFile) -> Bool {
    do {
      return try backend.status(name, in: descriptor).isSameFile(as: file.status)
    } catch {
      return error.errno != ENOENT
    }
  }
}
