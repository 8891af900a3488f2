internal import CheckpointFormat
internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

#if Mutants
  internal import CheckpointMutants
#endif

/// A regular file opened for reading; closed with its last reference.
///
/// The descriptor keeps the file's bytes readable whatever happens to its name.
package final class OpenFile: Sendable {
  let backend: any StorageBackend
  let descriptor: Descriptor
  package let path: String
  let status: FileStatus

  package var byteCount: UInt64 { status.byteCount }

  private init(
    backend: any StorageBackend, descriptor: Descriptor, path: String, status: FileStatus
  ) {
    self.backend = backend
    self.descriptor = descriptor
    self.path = path
    self.status = status
  }

  deinit {
    // Nothing was written: closing cannot lose anything.
    try? backend.close(descriptor)
  }

  /// Opens an entry of a directory, if it is a regular file; never blocks and follows no link.
  package static func open(
    _ name: String, in directory: StoreDirectory
  ) throws(CheckpointError) -> OpenFile {
    let path = directory.path(of: name)
    let backend = directory.backend
    let descriptor: Descriptor
    let status: FileStatus
    do {
      descriptor = try backend.open(name, in: directory.descriptor, for: .reading)
    } catch {
      throw CheckpointError(reading: path, error)
    }
    do {
      status = try backend.status(descriptor)
    } catch {
      try? backend.close(descriptor)
      throw CheckpointError(reading: path, error)
    }
    let file = OpenFile(backend: backend, descriptor: descriptor, path: path, status: status)
    guard status.kind == .regular else {
      var error = CheckpointError(
        .notRegular, "\(escaped(path)) is not a regular file and cannot be a checkpoint.",
        at: CheckpointError.Location(path: path))
      error.reason = "This is not a regular file and cannot be a checkpoint."
      throw error
    }
    return file
  }

  /// Fills `buffer`; a file that ends too early is a format error.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(CheckpointError) {
    let count: Int
    do {
      // SAFETY: the caller's buffer is passed on, for this call only; so it is below.
      count = try unsafe backend.readFully(descriptor, into: buffer, at: offset)
    } catch {
      #if Mutants
        if Mutant.isActive(.unreadableCalledDamaged) {
          throw CheckpointError(in: path, FormatError(.incomplete, at: offset))
        }
      #endif
      var unreadable = CheckpointError(reading: path, error)
      unreadable.location?.offset = offset
      throw unreadable
    }
    guard count == buffer.count else {
      throw shortRead(endingAt: offset + UInt64(count), missing: UInt64(buffer.count - count))
    }
  }

  /// Fills buffers with what lies one behind the other in the file, in one call.
  ///
  /// - Returns: Whether it did; if not, it is up to reading each of them to tell why.
  func read(
    intoEach buffers: [UnsafeMutableRawBufferPointer], _ byteCount: Int, at offset: UInt64
  ) -> Bool {
    let count = unsafe try? backend.read(descriptor, intoEach: buffers, at: offset)
    return count == byteCount
  }

  /// Why a read ended early: the file does, or a file system stopped short of the end it reports,
  /// which says nothing about the bytes behind.
  private func shortRead(endingAt offset: UInt64, missing: UInt64) -> CheckpointError {
    let size = (try? backend.status(descriptor))?.byteCount ?? byteCount
    guard offset < size else {
      return CheckpointError(in: path, FormatError(.truncated(needed: missing), at: offset))
    }
    var unreadable = CheckpointError(reading: path, StorageError(.read, errno: EIO))
    unreadable.location?.offset = offset
    unreadable.message +=
      " The system reports \(size) bytes and gave nothing from byte \(offset) on."
    return unreadable
  }

  /// Reads `byteCount` bytes, which the caller has limited.
  func read(_ byteCount: Int, at offset: UInt64) throws(CheckpointError) -> [UInt8] {
    unsafe try [UInt8](filling: byteCount) { (buffer) throws(CheckpointError) in
      unsafe try read(into: buffer, at: offset)
    }
  }

  /// Reads the first 64 bytes, which every format version has.
  package func readStart() throws(CheckpointError) -> FileStart {
    let bytes = try read(min(FileStart.byteCount, Int(clamping: byteCount)), at: 0)
    do {
      return try FileStart(decoding: bytes.rawSpan)
    } catch {
      throw CheckpointError(in: path, error)
    }
  }
}
