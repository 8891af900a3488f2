internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

extension StoreDirectory {
  /// Removes temporary files whose writers are gone: a living one holds its lock.
  func removeAbandoned(_ temporaries: [String]) {
    #if Mutants
      if Mutant.isActive(.abandonedTemporaryStays) { return }
    #endif
    for name in temporaries {
      guard let file = try? OpenFile.open(name, in: self),
        (try? backend.lock(file.descriptor, .exclusive)) == true
      else { continue }
      try? backend.unlink(name, in: descriptor)
    }
  }

  /// The same for all that are in the directory.
  func removeAbandoned() {
    guard let names = try? names() else { return }
    removeAbandoned(
      names.filter {
        if case .temporary? = CheckpointName($0) { return true }
        return false
      })
  }

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
      #if Mutants
        if Mutant.isActive(.holdForgotten) { return file }
      #endif
      let isLocked = (try? backend.lock(file.descriptor, .shared)) ?? true
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
