import CZlib

/// Streams as other programs make them.
enum ZlibStream {
  /// Every strategy: default, filtered, Huffman only, runs, fixed codes.
  static let strategies: [Int32] = [
    Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED,
  ]

  /// A raw DEFLATE stream of some bytes.
  ///
  /// - Parameters:
  ///   - bytes: What it holds.
  ///   - level: 0 for stored blocks, up to 9.
  ///   - strategy: One of ``strategies``.
  ///   - flush: How the first half ends, for example `Z_FULL_FLUSH`; there are several blocks then.
  /// - Returns: The stream.
  static func stream(
    _ bytes: [UInt8], level: Int32, strategy: Int32, flush: Int32 = Z_NO_FLUSH
  ) -> [UInt8] {
    var stream = unsafe z_stream()
    var output = [UInt8](repeating: 0, count: bytes.count * 2 + 1000)
    var input = bytes
    return unsafe withUnsafeMutablePointer(to: &stream) { stream in
      let started = unsafe deflateInit2_(
        stream, level, Z_DEFLATED, -15, 8, strategy, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
      precondition(started == Z_OK, "zlib did not start")
      defer { unsafe deflateEnd(stream) }
      let count = unsafe input.withUnsafeMutableBufferPointer { input in
        unsafe output.withUnsafeMutableBufferPointer { output in
          // SAFETY: zlib uses the pointers within this closure only.
          unsafe stream.pointee.next_in = input.baseAddress
          unsafe stream.pointee.avail_in = UInt32(input.count / 2)
          unsafe stream.pointee.next_out = output.baseAddress
          unsafe stream.pointee.avail_out = UInt32(output.count)
          unsafe deflate(stream, flush)
          unsafe stream.pointee.avail_in += UInt32(input.count - input.count / 2)
          let status = unsafe deflate(stream, Z_FINISH)
          precondition(status == Z_STREAM_END, "zlib did not finish")
          return unsafe output.count - Int(stream.pointee.avail_out)
        }
      }
      return Array(output[..<count])
    }
  }
}
