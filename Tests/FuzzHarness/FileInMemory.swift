package import CheckpointEngine
package import CheckpointStorage

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A device with one read-only file, for tests that read it a hundred thousand times: it has no
/// log, no locks and no room for anything else.
package final class FileInMemory: StorageBackend {
  package static let name = "file.ckpt"

  private let bytes: Protected<[UInt8]>

  package init(_ bytes: [UInt8] = []) { self.bytes = Protected(bytes) }

  package var contents: [UInt8] {
    get { bytes.withLock { $0 } }
    set { bytes.withLock { $0 = newValue } }
  }

  package var device: StorageDevice {
    let time = TimeSource(now: { 0 }, monotonic: { 0 }, sleep: { _ in })
    return StorageDevice(backend: self, timeSource: time, randomBits: { (1, 2) })
  }

  /// Flips one bit for the duration of `body`.
  package func flipping(bit: Int, _ body: () throws -> Void) rethrows {
    func flip() { bytes.withLock { $0[bit / 8] ^= 1 << (bit % 8) } }
    flip()
    defer { flip() }
    try body()
  }

  package func open() throws(CheckpointError) -> CheckpointReader {
    try CheckpointReader.open(path: "/" + Self.name, on: device, threads: 1)
  }

  // MARK: StorageBackend

  package func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    Descriptor(rawValue: 3)
  }

  package func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    guard name == Self.name, purpose == .reading else { throw refusal(.open) }
    return Descriptor(rawValue: 4)
  }

  package func close(_ descriptor: Descriptor) throws(StorageError) {}

  package func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    // SAFETY: the buffer is lent for this call; the closure does not keep it.
    nonisolated(unsafe) let buffer = unsafe buffer
    return bytes.withLock { bytes in
      let start = min(Int(clamping: offset), bytes.count)
      let count = unsafe min(buffer.count, bytes.count - start)
      // SAFETY: `count` bytes are in both.
      unsafe bytes.withUnsafeBytes { source in
        unsafe buffer.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[start..<start + count]))
      }
      return count
    }
  }

  package func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    FileStatus(
      kind: .regular, byteCount: UInt64(bytes.withLock { $0.count }), device: 1, inode: 4,
      permissions: 0o600)
  }

  package func status(_ name: String, in directory: Descriptor) throws(StorageError) -> FileStatus {
    try status(directory)
  }

  package func list(_ directory: Descriptor) throws(StorageError) -> [String] { [Self.name] }
  package func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    FileSystemSpace(availableByteCount: 0)
  }
  package func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    true
  }
  package func dropCache(_ descriptor: Descriptor) throws(StorageError) {}

  // Nothing can be changed.
  private func refusal(_ call: SystemCall) -> StorageError { StorageError(call, errno: EROFS) }
  package func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    throw refusal(.mkdir)
  }
  package func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int { throw refusal(.write) }
  package func sync(_ descriptor: Descriptor) throws(StorageError) { throw refusal(.sync) }
  package func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    throw refusal(.preallocate)
  }
  package func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    throw refusal(.setCaching)
  }
  package func startWriteBack(
    _ descriptor: Descriptor, _ range: Range<UInt64>
  ) throws(StorageError) { throw refusal(.startWriteBack) }
  package func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    throw refusal(.truncate)
  }
  package func setPermissions(
    _ descriptor: Descriptor, _ permissions: UInt32
  ) throws(StorageError) { throw refusal(.setPermissions) }
  package func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) { throw refusal(.rename) }
  package func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) { throw refusal(.replace) }
  package func link(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) { throw refusal(.link) }
  package func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    throw refusal(.unlink)
  }
}
