#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

#if Mutants
  internal import CheckpointMutants
#endif

// EINTR is documented for some calls only, but a network file system that is mounted interruptible
// returns it from any. So every call of every device passes through here, and none can be forgotten.

/// How often in a row a call may be interrupted before that becomes the error.
///
/// A signal storm does not come near it; a backend that never gets on ends instead of spinning.
package let interruptCountMax = 1_000

/// Makes a system call again for as long as a signal interrupts it.
///
/// Not for close(2): the descriptor is gone after EINTR, and another thread may have its number.
///
/// - Parameters:
///   - limit: how often in a row it may be interrupted.
///   - call: one call of a ``StorageBackend``.
/// - Returns: what `call` returned.
/// - Throws: what `call` threw; EINTR only after `limit` of them in a row.
package func retryingInterrupts<Result>(
  upTo limit: Int = interruptCountMax, _ call: () throws(StorageError) -> Result
) throws(StorageError) -> Result {
  var interruptCount = 0
  while true {
    do {
      return try call()
    } catch {
      interruptCount += 1
      #if Mutants
        if Mutant.isActive(.interruptsNotRetried) { throw error }
      #endif
      guard error.errno == EINTR, error.call != .close, interruptCount < limit else {
        throw error
      }
    }
  }
}

/// A backend whose calls are repeated after an interrupt, all but close(2).
final class InterruptRetryingBackend: StorageBackend {
  private let backend: any StorageBackend
  private let limit: Int

  init(_ backend: any StorageBackend, limit: Int) {
    self.backend = backend
    self.limit = limit
  }

  func close(_ descriptor: Descriptor) throws(StorageError) { try backend.close(descriptor) }

  func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in try backend.openDirectory(path)
    }
  }

  func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.makeDirectory(path, permissions: permissions)
    }
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.open(name, in: directory, for: purpose)
    }
  }

  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      // SAFETY: the caller's buffer is passed on, for this call only.
      try unsafe backend.read(descriptor, into: buffer, at: offset)
    }
  }

  func read(
    _ descriptor: Descriptor, intoEach buffers: [UnsafeMutableRawBufferPointer],
    at offset: UInt64
  ) throws(StorageError) -> Int {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      // SAFETY: as above.
      try unsafe backend.read(descriptor, intoEach: buffers, at: offset)
    }
  }

  func readOn(_ descriptor: Descriptor, from offset: UInt64) {
    backend.readOn(descriptor, from: offset)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.write(descriptor, bytes, at: offset)
    }
  }

  func sync(_ descriptor: Descriptor) throws(StorageError) {
    #if Mutants
      if Mutant.isActive(.interruptedSyncNotChecked) {
        do throws(StorageError) {
          return try backend.sync(descriptor)
        } catch {
          if error.errno == EINTR { return }
        }
      }
    #endif
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in try backend.sync(descriptor) }
  }

  func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.preallocate(descriptor, byteCount: byteCount)
    }
  }

  func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.setCaching(descriptor, caching)
    }
  }

  func startWriteBack(_ descriptor: Descriptor, _ range: Range<UInt64>) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.startWriteBack(descriptor, range)
    }
  }

  func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.truncate(descriptor, to: byteCount)
    }
  }

  func setPermissions(_ descriptor: Descriptor, _ permissions: UInt32) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.setPermissions(descriptor, permissions)
    }
  }

  func dropCache(_ descriptor: Descriptor) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.dropCache(descriptor)
    }
  }

  func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in try backend.status(descriptor)
    }
  }

  func status(_ name: String, in directory: Descriptor) throws(StorageError) -> FileStatus {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.status(name, in: directory)
    }
  }

  func list(_ directory: Descriptor) throws(StorageError) -> [String] {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in try backend.list(directory) }
  }

  func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in try backend.space(directory) }
  }

  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.lock(descriptor, kind)
    }
  }

  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.renameExclusively(name, to: target, in: directory)
    }
  }

  func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.renameReplacing(name, to: target, in: directory)
    }
  }

  func link(_ name: String, to target: String, in directory: Descriptor) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.link(name, to: target, in: directory)
    }
  }

  func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    try retryingInterrupts(upTo: limit) { () throws(StorageError) in
      try backend.unlink(name, in: directory)
    }
  }
}
