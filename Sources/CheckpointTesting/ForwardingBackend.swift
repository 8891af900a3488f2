package import CheckpointStorage

/// A backend that hands each call on to another, but for those that a conformance takes itself.
package protocol ForwardingBackend: StorageBackend {
  /// The backend that does what is asked.
  var base: any StorageBackend { get }
}

extension ForwardingBackend {
  package func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    try base.openDirectory(path)
  }

  package func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    try base.makeDirectory(path, permissions: permissions)
  }

  package func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    try base.open(name, in: directory, for: purpose)
  }

  package func close(_ descriptor: Descriptor) throws(StorageError) {
    try base.close(descriptor)
  }

  package func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    // SAFETY: the caller's buffer is passed on for this call only.
    try unsafe base.read(descriptor, into: buffer, at: offset)
  }

  package func readOn(_ descriptor: Descriptor, from offset: UInt64) {
    base.readOn(descriptor, from: offset)
  }

  package func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    try base.write(descriptor, bytes, at: offset)
  }

  package func sync(_ descriptor: Descriptor) throws(StorageError) { try base.sync(descriptor) }

  package func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    try base.preallocate(descriptor, byteCount: byteCount)
  }

  package func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    try base.setCaching(descriptor, caching)
  }

  package func startWriteBack(
    _ descriptor: Descriptor, _ range: Range<UInt64>
  ) throws(StorageError) {
    try base.startWriteBack(descriptor, range)
  }

  package func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    try base.truncate(descriptor, to: byteCount)
  }

  package func setPermissions(
    _ descriptor: Descriptor, _ permissions: UInt32
  ) throws(StorageError) {
    try base.setPermissions(descriptor, permissions)
  }

  package func dropCache(_ descriptor: Descriptor) throws(StorageError) {
    try base.dropCache(descriptor)
  }

  package func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    try base.status(descriptor)
  }

  package func status(
    _ name: String, in directory: Descriptor
  ) throws(StorageError) -> FileStatus {
    try base.status(name, in: directory)
  }

  package func list(_ directory: Descriptor) throws(StorageError) -> [String] {
    try base.list(directory)
  }

  package func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    try base.space(directory)
  }

  package func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    try base.lock(descriptor, kind)
  }

  package func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try base.renameExclusively(name, to: target, in: directory)
  }

  package func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try base.renameReplacing(name, to: target, in: directory)
  }

  package func link(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try base.link(name, to: target, in: directory)
  }

  package func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    try base.unlink(name, in: directory)
  }
}
