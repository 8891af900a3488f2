#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// The loops over short transfers. They stand above the seam, so that injected ones pass through the
// same code as real ones; interrupts are repeated below, in InterruptRetryingBackend.

extension StorageBackend {
  /// Writes all of `bytes`, in as many calls as it takes.
  ///
  /// When this throws, any part of the range may have been written.
  ///
  /// - Parameters:
  ///   - descriptor: a file open for writing.
  ///   - bytes: what to write; nothing is called for none.
  ///   - offset: where in the file, in bytes.
  /// - Throws: ``StorageError`` from the first call that failed, and EIO if a call took no bytes, since asking again would spin.
  package func writeAll(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) {
    var written = 0
    while written < bytes.byteCount {
      let (position, overflow) = offset.addingReportingOverflow(UInt64(written))
      if overflow { throw StorageError(.write, errno: EFBIG) }
      let rest = bytes.extracting(droppingFirst: written)
      let count = try write(descriptor, rest, at: position)
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
  /// - Throws: ``StorageError`` from the first call that failed; the contents of `buffer` are then unspecified.
  package func readFully(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    var filled = 0
    while filled < buffer.count {
      let (position, overflow) = offset.addingReportingOverflow(UInt64(filled))
      if overflow { throw StorageError(.read, errno: EFBIG) }
      // SAFETY: the range lies within the buffer, which the caller lends for this call.
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = try unsafe read(descriptor, into: rest, at: position)
      if count == 0 { return filled }
      guard count > 0, count <= rest.count else { throw StorageError(.read, errno: EIO) }
      filled += count
    }
    return filled
  }

  // For backends that stand in front of others too: what they do to a read, they do to each of these.
  package func read(
    _ descriptor: Descriptor, intoEach buffers: [UnsafeMutableRawBufferPointer],
    at offset: UInt64
  ) throws(StorageError) -> Int {
    var filled = 0
    for place in unsafe buffers.indices {
      let buffer = unsafe buffers[place]
      // Nothing is called for none.
      guard unsafe !buffer.isEmpty else { continue }
      let (position, overflow) = offset.addingReportingOverflow(UInt64(filled))
      if overflow { throw StorageError(.read, errno: EFBIG) }
      let count: Int
      do throws(StorageError) {
        // SAFETY: the caller's buffer is passed on for this call only.
        count = try unsafe read(descriptor, into: buffer, at: position)
      } catch {
        // What came before is told first, as by one call.
        guard filled == 0 else { return filled }
        throw error
      }
      filled += count
      guard count == buffer.count else { return filled }
    }
    return filled
  }

  package func readOn(_ descriptor: Descriptor, from offset: UInt64) {}
}
