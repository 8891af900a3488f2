internal import CZlib
internal import CheckpointFormat

/// Encodes chunks as raw DEFLATE streams at zlib's level 1.
///
/// One instance serves one thread at a time and keeps its 260 KiB of state between chunks.
///
/// - SeeAlso: RFC 1951; docs/format.md, section 7.
@safe
package final class Deflater {
  // zlib keeps the address of its stream, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  package init() {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    // A negative window size asks zlib for a bare stream without header and checksum; ours are
    // bound to the chunk's identity. 2^15 is DEFLATE's largest window, 8 zlib's default memory.
    let status = unsafe deflateInit2_(
      stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot start: out of memory, or another version of zlib")
  }

  deinit {
    // SAFETY: this instance alone holds the pointer, and it ends here.
    unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// The most bytes an encoded chunk may have: encoding must save at least 1/32.
  package static func encodedByteCountMax(_ rawByteCount: Int) -> Int {
    rawByteCount - max(1, (rawByteCount + 31) / 32)
  }

  /// Encodes `raw` into the beginning of `output`.
  ///
  /// - Returns: The bytes of the stream, or nil if it would not save at least 1/32.
  package func encode(_ raw: RawSpan, into output: UnsafeMutableRawBufferPointer) -> Int? {
    let capacity = min(output.count, Self.encodedByteCountMax(raw.byteCount))
    guard capacity > 0 else { return nil }
    unsafe deflateReset(stream)
    let status = unsafe raw.withUnsafeBytes { input in
      // SAFETY: zlib reads `avail_in` bytes, although its header lacks the const, and writes at
      // most `avail_out`; neither pointer is used after this closure.
      unsafe stream.pointee.next_in = UnsafeMutablePointer(
        mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
      unsafe stream.pointee.avail_in = UInt32(input.count)
      unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe stream.pointee.avail_out = UInt32(capacity)
      return unsafe deflate(stream, Z_FINISH)
    }
    // Anything but the end of the stream means that it did not fit.
    return status == Z_STREAM_END ? unsafe capacity - Int(stream.pointee.avail_out) : nil
  }
}
