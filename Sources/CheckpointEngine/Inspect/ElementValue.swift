package import CheckpointFormat

/// One element of a tensor, exactly.
package enum ElementValue: Hashable, Sendable {
  /// The byte: 0, 1, or what else a program has put there.
  case bool(UInt8)
  case signed(Int64)
  case unsigned(UInt64)
  /// An element of any float of 32 bits or fewer.
  case single(Float)
  case double(Double)
  case complex(real: Float, imaginary: Float)

  /// Reads element `index` of the little-endian elements of a dtype.
  ///
  /// - Precondition: The element lies within `bytes`.
  package init(_ bytes: RawSpan, _ index: Int, of dtype: DType) {
    let offset = index * dtype.byteCount
    self =
      switch dtype {
      case .bool: .bool(bytes.integer(at: offset))
      case .int8: .signed(Int64(bytes.integer(at: offset) as Int8))
      case .int16: .signed(Int64(bytes.integer(at: offset) as Int16))
      case .int32: .signed(Int64(bytes.integer(at: offset) as Int32))
      case .int64: .signed(bytes.integer(at: offset))
      case .uint8: .unsigned(UInt64(bytes.integer(at: offset) as UInt8))
      case .uint16: .unsigned(UInt64(bytes.integer(at: offset) as UInt16))
      case .uint32: .unsigned(UInt64(bytes.integer(at: offset) as UInt32))
      case .uint64: .unsigned(bytes.integer(at: offset))
      case .float16, .bfloat16, .float8e4m3fn, .float8e5m2:
        .single(dtype.smallFloat?.value(bytes, offset, dtype.byteCount) ?? .nan)
      case .float32: .single(Float(bitPattern: bytes.integer(at: offset)))
      case .float64: .double(Double(bitPattern: bytes.integer(at: offset)))
      case .complex64:
        .complex(
          real: Float(bitPattern: bytes.integer(at: offset)),
          imaginary: Float(bitPattern: bytes.integer(at: offset + 4)))
      }
  }
}

extension DType {
  /// The format of its elements, if they are floats of fewer than 32 bits.
  var smallFloat: SmallFloat? {
    switch self {
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .float8e4m3fn: .float8e4m3fn
    case .float8e5m2: .float8e5m2
    default: nil
    }
  }
}

extension SmallFloat {
  fileprivate func value(_ bytes: RawSpan, _ offset: Int, _ byteCount: Int) -> Float {
    byteCount == 1
      ? value(UInt32(bytes.integer(at: offset) as UInt8))
      : value(UInt32(bytes.integer(at: offset) as UInt16))
  }
}

extension RawSpan {
  /// The little-endian integer at an offset.
  @inline(__always)
  func integer<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer {
    precondition(
      offset >= 0 && offset <= byteCount - MemoryLayout<Integer>.size, "number outside the span")
    // SAFETY: the precondition keeps the load inside the span; every bit pattern is an integer.
    return Integer(
      littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Integer.self))
  }
}
