package import CheckpointFormat

/// The beginning of a `.npy` file, in front of the elements of one array.
///
/// - SeeAlso: The format's specification, version 1.0, in the documentation of `numpy.lib.format` and NEP 1.
package struct NumPyHeader: Sendable {
  /// The bytes, a multiple of 64.
  package let bytes: [UInt8]
  /// Whether the elements are floats that NumPy has no type for, so that their bits are called integers.
  package let hasBitsOnly: Bool

  /// - Parameters:
  ///   - dtype: The type of one element.
  ///   - shape: Of the array.
  package init(_ dtype: DType, shape: [Int]) {
    let (type, hasBitsOnly) = Self.type(of: dtype)
    self.hasBitsOnly = hasBitsOnly
    // As Python writes a tuple: with a comma behind a lone element.
    let tuple = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(tuple)), }"
    // Magic, version and length in front, a newline behind.
    let used = 10 + text.utf8.count + 1
    let padding = (64 - used % 64) % 64
    let length = UInt16(text.utf8.count + padding + 1)
    bytes =
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)]
      + Array(text.utf8) + Array(repeating: UInt8(ascii: " "), count: padding)
      + [UInt8(ascii: "\n")]
  }

  private static func type(of dtype: DType) -> (name: String, hasBitsOnly: Bool) {
    switch dtype {
    case .bool: ("|b1", false)
    case .int8: ("|i1", false)
    case .uint8: ("|u1", false)
    case .int16: ("<i2", false)
    case .int32: ("<i4", false)
    case .int64: ("<i8", false)
    case .uint16: ("<u2", false)
    case .uint32: ("<u4", false)
    case .uint64: ("<u8", false)
    case .float16: ("<f2", false)
    case .float32: ("<f4", false)
    case .float64: ("<f8", false)
    case .complex64: ("<c8", false)
    case .bfloat16: ("<u2", true)
    case .float8e4m3fn, .float8e5m2: ("|u1", true)
    }
  }
}
