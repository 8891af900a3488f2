import CheckpointStorage
import CheckpointTesting

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Disks for OutputTests.

/// A disk that takes its time, and notices calls for files that are on their way out.
final class SlowOutputBackend: ForwardingBackend {
  let base: any StorageBackend
  let callsWhereNoneMayBe = Protected(0)
  private let isGone = Protected(false)

  init(_ base: any StorageBackend) { self.base = base }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    isGone.withLock { $0 = false }
    return try base.open(name, in: directory, for: purpose)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    takeTime()
    return try base.write(descriptor, bytes, at: offset)
  }

  func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    takeTime()
    try base.preallocate(descriptor, byteCount: byteCount)
  }

  func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    takeTime()
    try base.setCaching(descriptor, caching)
  }

  private func takeTime() {
    usleep(2_000)
    if isGone.withLock({ $0 }) { callsWhereNoneMayBe.withLock { $0 += 1 } }
  }

  func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    isGone.withLock { $0 = true }
    try base.unlink(name, in: directory)
  }
}

/// Sees what memory is written from.
final class AddressSpy: ForwardingBackend {
  let base: any StorageBackend
  let addresses = Protected<Set<UInt>>([])

  init(_ base: any StorageBackend) { self.base = base }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    let address = unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    // The process number in `.lock` is no part of a save.
    if bytes.byteCount >= 4096 { addresses.withLock { _ = $0.insert(address) } }
    return try base.write(descriptor, bytes, at: offset)
  }
}

/// A file system that has no direct writes, if it shall not.
final class RefusingBackend: ForwardingBackend {
  let base: any StorageBackend
  private let refuses: Bool

  init(_ base: any StorageBackend, refuses: Bool) {
    self.base = base
    self.refuses = refuses
  }

  func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    if refuses, caching == .uncached { throw StorageError(.setCaching, errno: EINVAL) }
    try base.setCaching(descriptor, caching)
  }
}
