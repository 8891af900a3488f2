#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// The only loops over system calls. They stand above the seam, so that injected interrupts and
// short transfers pass through the same code as real ones.

/// How often in a row a call may be interrupted before that becomes the error.
///
/// A signal storm does not come near it; a backend that never gets on ends instead of spinning.
private let interruptCountMax = 1_000

/// Makes a system call again for as long as a signal interrupts it.
///
/// Not for close(2): the descriptor is gone after EINTR, and another thread may have its number.
///
/// - Parameter call: one call of a ``StorageBackend``.
/// - Returns: what `call` returned.
/// - Throws: what `call` threw; EINTR only after 1,000 of them in a row.
package func retryingInterrupts<Result>(
  _ call: () throws(StorageError) -> Result
) throws(StorageError) -> Result {
  var interruptCount = 0
  while true {
    do {
      return try call()
    } catch {
      interruptCount += 1
      guard error.errno == EINTR, error.call != .close, interruptCount < interruptCountMax else {
        throw error
      }
    }
  }
}

extension StorageBackend {
  /// Writes all of `bytes`, in as many calls as it takes.
  ///
  /// When this throws, any part of the range may have been written.
  ///
  /// - Parameters:
  ///   - descriptor: a file open for writing.
  ///   - bytes: what to write; nothing is called for none.
  ///   - offset: where in the file, in bytes.
  /// - Throws: ``StorageError`` from the first call that failed for another reason than an
  ///   interrupt, and EIO if a call took no bytes, since asking again would spin.
  package func writeAll(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) {
    var written = 0
    while written < bytes.byteCount {
      let (position, overflow) = offset.addingReportingOverflow(UInt64(written))
      if overflow { throw StorageError(.write, errno: EFBIG) }
      let rest = bytes.extracting(droppingFirst: written)
      let count = try retryingInterrupts { () throws(StorageError) -> Int in
        try write(descriptor, rest, at: position)
      }
      guard count > 0, count <= rest.byteCount else { throw StorageError(.write, errno: EIO) }
      written += count
    }
  }

  /// Reads until `buffer` is full or the file ends.
  ///
  /// - Parameters:
  ///   - descriptor: a file open for reading.
  ///   - buffer: what to fill, from its start.
  ///   - offset: where in the file, in bytes.
  /// - Returns: the number of bytes read, less than asked only at the end of the file.
  /// - Throws: ``StorageError`` from the first call that failed for another reason than an
  ///   interrupt; the contents of `buffer` are then unspecified.
  package func readFully(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    var filled = 0
    while filled < buffer.count {
      let (position, overflow) = offset.addingReportingOverflow(UInt64(filled))
      if overflow { throw StorageError(.read, errno: EFBIG) }
      // SAFETY: the range lies within the buffer, which the caller lends for this call.
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = try retryingInterrupts { () throws(StorageError) -> Int in
        try unsafe read(descriptor, into: rest, at: position)
      }
      if count == 0 { return filled }
      guard count > 0, count <= rest.count else { throw StorageError(.read, errno: EIO) }
      filled += count
    }
    return filled
  }
}
