import CheckpointStorage
import CheckpointTesting
import Foundation

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A disk whose chosen call waits until it is let go.
final class Gate: ForwardingBackend {
  let base: any StorageBackend
  private let state = Protected(State())

  private struct State {
    var callCount = 0
    var stop: Int?
    var isReached = false
    var isOpen = false
  }

  init(_ base: any StorageBackend) { self.base = base }

  /// How many calls that change something have come.
  var callCount: Int { state.withLock { $0.callCount } }

  /// Stops the call that comes after so many others.
  func close(after count: Int = 0) {
    state.withLock { $0 = State(callCount: 0, stop: count) }
  }

  func open() { state.withLock { $0.isOpen = true } }

  var isOpen: Bool { state.withLock { $0.isOpen } }

  /// Opens when the caller has begun to wait.
  func openSoon() {
    Thread.detachNewThread {
      usleep(20_000)
      self.open()
    }
  }

  func waitUntilReached() { while !state.withLock({ $0.isReached }) { usleep(200) } }

  private func pass() {
    let isStopped = state.withLock { state in
      defer { state.callCount += 1 }
      guard state.callCount == state.stop else { return false }
      state.isReached = true
      return true
    }
    guard isStopped else { return }
    while !state.withLock({ $0.isOpen }) { usleep(200) }
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    if purpose != .reading { pass() }
    return try base.open(name, in: directory, for: purpose)
  }

  func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    pass()
    return try base.write(descriptor, bytes, at: offset)
  }

  func sync(_ descriptor: Descriptor) throws(StorageError) {
    pass()
    try base.sync(descriptor)
  }

  func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    pass()
    try base.renameExclusively(name, to: target, in: directory)
  }

  func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    pass()
    try base.renameReplacing(name, to: target, in: directory)
  }

  func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    pass()
    try base.unlink(name, in: directory)
  }
}
