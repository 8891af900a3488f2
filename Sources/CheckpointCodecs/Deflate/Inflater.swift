internal import CZlib

/// Decodes raw DEFLATE streams of any kind, by zlib.
enum Inflater {
  /// Decodes `stored` into all of `output`; false unless the stream ends exactly at the end of `stored` and
  /// fills `output` exactly.
  static func inflate(_ stored: RawSpan, into output: UnsafeMutableRawBufferPointer) -> Bool {
    // zlib counts in 32 bits, and a chunk has at most 64 MiB.
    guard let inputCount = UInt32(exactly: stored.byteCount),
      let outputCount = UInt32(exactly: output.count)
    else { return false }
    var stream = unsafe z_stream()
    // zlib keeps the address of its stream, so everything happens while it cannot move.
    return unsafe withUnsafeMutablePointer(to: &stream) { stream in
      let started = unsafe inflateInit2_(
        stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
      precondition(started == Z_OK, "zlib cannot start: out of memory, or another version of zlib")
      defer { unsafe inflateEnd(stream) }
      return unsafe stored.withUnsafeBytes { input in
        // SAFETY: zlib reads `avail_in` bytes, although its header lacks the const, and writes at
        // most `avail_out`; neither pointer is used after this closure.
        unsafe stream.pointee.next_in = UnsafeMutablePointer(
          mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = inputCount
        unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = outputCount
        let status = unsafe CZlib.inflate(stream, Z_FINISH)
        return unsafe status == Z_STREAM_END && stream.pointee.avail_in == 0
          && stream.pointee.avail_out == 0
      }
    }
  }
}
