internal import CZlib
package import CheckpointFormat

/// A stored chunk that does not decode to what its frame promises.
package enum DecodingError: Error, Hashable, Sendable {
  /// The stream is malformed, or longer or shorter than it must be.
  case malformed
}

/// Decodes stored chunks.
package enum ChunkDecoder {
  /// Decodes `stored` into all of `output`.
  ///
  /// The stream must end exactly at the end of `stored` and fill `output` exactly.
  package static func decode(
    _ stored: RawSpan, codec: CodecIdentifier, into output: UnsafeMutableRawBufferPointer
  ) throws(DecodingError) {
    switch codec {
    case .stored:
      guard stored.byteCount == output.count else { throw .malformed }
      unsafe stored.withUnsafeBytes { bytes in
        // SAFETY: both hold `count` bytes, checked above.
        unsafe output.copyMemory(from: bytes)
      }
    case .deflate: unsafe try inflateAll(stored, into: output)
    default: throw .malformed
    }
  }

  /// The most bytes that `storedByteCount` bytes can decode to.
  ///
  /// DEFLATE's densest symbol pair takes two bits and stands for 258 bytes.
  package static func rawByteCountMax(storedByteCount: UInt32, codec: CodecIdentifier) -> UInt64 {
    codec == .deflate ? UInt64(storedByteCount) * (8 / 2 * 258) : UInt64(storedByteCount)
  }

  private static func inflateAll(
    _ stored: RawSpan, into output: UnsafeMutableRawBufferPointer
  ) throws(DecodingError) {
    var stream = unsafe z_stream()
    // zlib keeps the address of its stream, so everything happens while it cannot move.
    let isComplete = unsafe withUnsafeMutablePointer(to: &stream) { stream in
      let started = unsafe inflateInit2_(
        stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
      precondition(started == Z_OK, "zlib cannot start: out of memory, or another version of zlib")
      defer { unsafe inflateEnd(stream) }
      return unsafe stored.withUnsafeBytes { input in
        // SAFETY: zlib reads `avail_in` bytes, although its header lacks the const, and writes at
        // most `avail_out`; neither pointer is used after this closure.
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
          mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(output.count)
        let status = unsafe inflate(stream, Z_FINISH)
        return unsafe status == Z_STREAM_END && stream.pointee.avail_in == 0
          && stream.pointee.avail_out == 0
      }
    }
    guard isComplete else { throw .malformed }
  }
}
