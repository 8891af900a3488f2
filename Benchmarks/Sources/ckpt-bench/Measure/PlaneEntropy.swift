internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The least that codes for single bytes can make of elements whose bytes are sorted into planes.
enum PlaneEntropy {
  /// The order-0 entropy of the planes of some elements, in bytes; floats have their sign rotated behind the
  /// mantissa.
  static func byteCount(_ raw: UnsafeRawBufferPointer, _ dtype: DType) -> Double {
    let isFloat = [.float16, .bfloat16, .float32, .float64, .complex64].contains(dtype)
    let width = dtype == .complex64 ? 4 : dtype.byteCount
    let count = raw.count / width
    var counts = [Int](repeating: 0, count: 256 * width)
    for element in 0..<count {
      var word: UInt64 = 0
      for byte in 0..<width {
        // SAFETY: the index is below the number of bytes.
        word |= unsafe UInt64(raw[element &* width &+ byte]) &<< UInt64(8 &* byte)
      }
      if isFloat { word = word &<< 1 | (word &>> UInt64(8 &* width &- 1)) & 1 }
      for byte in 0..<width {
        counts[256 &* byte &+ Int(word &>> UInt64(8 &* byte) & 0xFF)] += 1
      }
    }
    // The sum over bytes of -log2 of their frequency.
    let total = Double(count)
    let bitCount = counts.reduce(0.0) { sum, count in
      count == 0 ? sum : sum - Double(count) * log2(Double(count) / total)
    }
    return bitCount / 8
  }
}
