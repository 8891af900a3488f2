/// The type of a tensor's elements; raw values are the codes of docs/format.md, section 6.3.
public enum DType: UInt8, Hashable, Sendable, CaseIterable {
  /// One byte, 0 or 1. Other bytes are kept as they are.
  case bool = 1
  /// Two's complement, 8 bits.
  case int8 = 2
  /// Two's complement, 16 bits.
  case int16 = 3
  /// Two's complement, 32 bits.
  case int32 = 4
  /// Two's complement, 64 bits.
  case int64 = 5
  /// Unsigned, 8 bits.
  case uint8 = 6
  /// Unsigned, 16 bits.
  case uint16 = 7
  /// Unsigned, 32 bits.
  case uint32 = 8
  /// Unsigned, 64 bits.
  case uint64 = 9
  /// IEEE 754 binary16.
  case float16 = 10
  /// The upper half of a binary32.
  case bfloat16 = 11
  /// IEEE 754 binary32.
  case float32 = 12
  /// IEEE 754 binary64.
  case float64 = 13
  /// OCP 8-bit float with 4 exponent bits, no infinities.
  case float8e4m3fn = 14
  /// OCP 8-bit float with 5 exponent bits.
  case float8e5m2 = 15
  /// Two binary32: real part, then imaginary part.
  case complex64 = 16

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .bool, .int8, .uint8, .float8e4m3fn, .float8e5m2: 1
    case .int16, .uint16, .float16, .bfloat16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .uint64, .float64, .complex64: 8
    }
  }

  /// The name that people and other formats use, for example `float32` or `float8_e4m3fn`.
  public var name: String {
    switch self {
    case .float8e4m3fn: "float8_e4m3fn"
    case .float8e5m2: "float8_e5m2"
    default: "\(self)"
    }
  }
}
