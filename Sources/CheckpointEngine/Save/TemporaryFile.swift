internal import CheckpointFormat
internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

// The commit protocol: makes one checkpoint durable and visible, or leaves no trace.
//
// Invariants
//   I1  Nothing is published whose bytes were not all accepted and synced first.
//   I2  Publishing never replaces a file, but for the one that a migration is asked to replace.
//   I3  A temporary file whose write, fsync or close failed is only ever removed.
//   I4  Once the name exists, the file is never removed by a failing save.
// Argued in docs/crash-safety.md, section 3. Tested by CrashTests.

/// A save in flight: invisible to readers until ``publish(as:saveIdentifier:)`` returns.
final class TemporaryFile {
  private let directory: StoreDirectory
  private let name: String
  private let descriptor: Descriptor
  /// Where the file's bytes go; refuses them once the file is closed.
  let output: SequentialOutput
  private var isOpen = true
  private var isPublished = false

  private var backend: any StorageBackend { directory.backend }

  /// Creates the file under a random name and locks it against janitors.
  init(
    step: UInt64, generation: UInt64, permissions: FilePermissions, in directory: StoreDirectory,
    resources: SaveResources
  ) throws(CheckpointError) {
    self.directory = directory
    var attempt = 0
    while true {
      attempt += 1
      let bits = directory.device.randomBits()
      let name = CheckpointName.temporary(
        step: step, generation: generation, nonce: Identifier(high: bits.0, low: bits.1)
      ).text
      do {
        let purpose = OpenPurpose.creating(permissions: permissions.ofNewFile)
        descriptor = try directory.backend.open(name, in: directory.descriptor, for: purpose)
        self.name = name
        break
      } catch {
        guard error.errno == EEXIST, attempt < 16 else {
          throw CheckpointError(writing: directory.path(of: name), error)
        }
      }
    }
    output = SequentialOutput(directory.backend, descriptor, resources)
    // Without locks (some network file systems) a janitor cannot run either: it needs this lock.
    _ = try? backend.lock(descriptor, .exclusive)
    if permissions.policy == .inherit { try inheritPermissions() }
  }

  deinit { abandon() }

  var path: String { directory.path(of: name) }

  /// Prepares for the most bytes that may come.
  func begin(byteCountMax: UInt64) { output.begin(fileByteCountMax: byteCountMax) }

  /// Makes the contents durable: writes what waits, releases surplus room, then fsync, then a
  /// checked close.
  ///
  /// What was written past the page cache needs the fsync as well: the disk has a cache of its own,
  /// and the file's length is not on it.
  ///
  /// A failed fsync is never repeated: the kernel may have dropped the pages and would report
  /// success. The only way on is a whole new save.
  func seal(byteCount: UInt64) throws(StorageError) {
    try output.finish()
    // Reserving room keeps the size; a size that differs means that writes went elsewhere.
    let status = try backend.status(descriptor)
    guard status.byteCount == byteCount else {
      throw StorageError(.write, errno: EIO)
    }
    try backend.truncate(descriptor, to: byteCount)
    #if Mutants
      if !(Mutant.isActive(.directWritesNotSynced) && output.isUncached) {
        try backend.sync(descriptor)
      }
    #else
      try backend.sync(descriptor)
    #endif
    isOpen = false
    output.end()
    do {
      try backend.close(descriptor)
    } catch let error where error.errno == EINTR {
      // On Linux the descriptor is gone and nothing else was reported.
      #if Mutants
        if Mutant.isActive(.closeRepeatedAfterInterrupt) { try backend.close(descriptor) }
      #endif
    }
  }

  /// Opens the sealed file, to read what has become of it.
  func reopened() throws(CheckpointError) -> OpenFile {
    let file = try OpenFile.open(name, in: directory)
    // Held, for whoever sweeps the directory up: the lock went with the descriptor that was closed.
    _ = try? backend.lock(file.descriptor, .shared)
    // So that the disk is asked, and not the memory that the bytes came from.
    try? backend.dropCache(file.descriptor)
    return file
  }

  /// Gives the file a mode, as far as it is about reading and writing.
  func setPermissions(_ permissions: UInt32) throws(CheckpointError) {
    do {
      try backend.setPermissions(descriptor, permissions & 0o666)
    } catch {
      throw CheckpointError(writing: path, error)
    }
  }

  /// Gives the file its public name, without replacing anything or in the place of the file that has it.
  ///
  /// A rename that reports an error may have happened, on network file systems above all: what
  /// stands under the target tells. If that cannot be read either, nobody can say whether the
  /// checkpoint is in place, and `.durabilityUnknown` is thrown.
  func publish(
    as target: String, saveIdentifier: Identifier, replacing: Bool = false
  ) throws(CheckpointError) {
    do {
      if replacing {
        try backend.renameReplacing(name, to: target, in: directory.descriptor)
      } else {
        // If both names stay, the old one is swept up as a temporary.
        try directory.renameExclusively(name, to: target)
      }
    } catch {
      #if Mutants
        if Mutant.isActive(.renameErrorBelieved) {
          throw CheckpointError(writing: directory.path(of: target), error)
        }
      #endif
      guard try isSave(saveIdentifier, under: target, after: error) else {
        throw CheckpointError(writing: directory.path(of: target), error)
      }
    }
    isPublished = true
  }

  private func isSave(
    _ identifier: Identifier, under target: String, after failure: StorageError
  ) throws(CheckpointError) -> Bool {
    do {
      return try OpenFile.open(target, in: directory).readStart().saveIdentifier == identifier
    } catch {
      guard error.code == .unreadable, failure.errno != EEXIST else { return false }
      var unknown = CheckpointError(writing: directory.path(of: target), failure)
      unknown.code = .durabilityUnknown
      unknown.message +=
        " Whether the new one is in place cannot be told: \(error.message) Save again to be sure."
      throw unknown
    }
  }

  /// Removes the file, if it was not published.
  ///
  /// Errors are ignored: the janitor tries again.
  func abandon() {
    guard !isPublished else { return }
    output.end()
    #if Mutants
      if Mutant.isActive(.failedTemporaryStays) {
        if isOpen { try? backend.close(descriptor) }
        return isPublished = true
      }
    #endif
    try? backend.unlink(name, in: directory.descriptor)
    if isOpen { try? backend.close(descriptor) }
    isOpen = false
    isPublished = true
  }

  private func inheritPermissions() throws(CheckpointError) {
    let mode: UInt32
    do {
      mode = try backend.status(directory.descriptor).permissions
    } catch {
      throw CheckpointError(writing: path, error)
    }
    try setPermissions(mode)
  }
}
