#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Writes whole texts to a descriptor.
package struct DescriptorWriter: Sendable {
  /// One call of write: the bytes taken, or errno negated.
  package typealias Call = @Sendable (_ descriptor: Int32, _ bytes: RawSpan) -> Int

  private let descriptor: Int32
  private let call: Call

  package init(descriptor: Int32, call: @escaping Call = Self.systemCall) {
    self.descriptor = descriptor
    self.call = call
  }

  /// Writes all of `text`, however many calls that takes.
  ///
  /// - Returns: Nil, or the errno of the call that failed; a part may then have been written.
  package func write(_ text: String) -> Int32? {
    // SAFETY: bytes have no padding that could be uninitialised.
    write(unsafe Array(text.utf8).span.bytes)
  }

  /// Writes all of `bytes`, however many calls that takes.
  ///
  /// - Returns: Nil, or the errno of the call that failed; a part may then have been written.
  package func write(_ bytes: RawSpan) -> Int32? {
    var written = 0
    while written < bytes.byteCount {
      let count = call(descriptor, bytes.extracting(droppingFirst: written))
      switch count {
      case 0...: written += count
      case -Int(EINTR): continue
      // Somebody who shares the open file made it non-blocking.
      case -Int(EAGAIN): waitUntilWritable()
      default: return Int32(-count)
      }
    }
    return nil
  }

  private func waitUntilWritable() {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // SAFETY: one record, which is ours. If poll fails, the next write says why or says so again.
    unsafe _ = poll(&request, 1, 1000)
  }

  package static let systemCall: Call = { descriptor, bytes in
    // SAFETY: the kernel reads no more than the bytes of the span.
    unsafe bytes.withUnsafeBytes { buffer in
      #if canImport(Darwin)
        let count = unsafe Darwin.write(descriptor, buffer.baseAddress, buffer.count)
      #else
        let count = unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
      #endif
      return count < 0 ? -Int(errno) : count
    }
  }
}
