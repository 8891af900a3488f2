package import CheckpointFormat

/// Converts the elements of a tensor from one dtype to another.
///
/// What does not fit is refused and never clamped: a finite number that would become infinite, and an
/// integer that the other type cannot hold. Between floats values are rounded to the nearest, ties to
/// even; what is too small becomes a smaller number or zero. NaN stays NaN.
package struct TensorCast {
  private let source: DType
  private let target: DType

  /// Why a tensor cannot be converted.
  package struct Failure: Error {
    package let sentence: String
  }

  package init(from source: DType, to target: DType) {
    self.source = source
    self.target = target
  }

  /// Whether elements of a dtype can be converted to or from others.
  package static func isSupported(_ dtype: DType) -> Bool {
    switch dtype {
    case .float8e4m3fn, .float8e5m2, .complex64: false
    case .float16: hasFloat16
    default: true
    }
  }

  /// Whether every element of one dtype is one of the other, so that it can be had back.
  package static func isExact(from source: DType, to target: DType) -> Bool {
    if source == target { return true }
    guard let from = Numbers(source), let to = Numbers(target) else { return false }
    return to.bitCount >= from.bitCount && to.exponentMax >= from.exponentMax
      && (to.isSigned || !from.isSigned) && (to.isFloat || !from.isFloat)
      && to.exponentMin <= from.exponentMin
  }

  /// What numbers a dtype has.
  private struct Numbers {
    /// Significant bits.
    let bitCount: Int
    /// Powers of two: what is below the largest number, and the smallest number.
    let exponentMax: Int
    let exponentMin: Int
    let isSigned: Bool
    let isFloat: Bool

    init?(_ dtype: DType) {
      (bitCount, exponentMax, exponentMin, isSigned, isFloat) =
        switch dtype {
        case .bool: (1, 0, 0, false, false)
        case .uint8, .uint16, .uint32, .uint64:
          (dtype.byteCount * 8, dtype.byteCount * 8 - 1, 0, false, false)
        // The least number has one bit more than the others, and is a power of two.
        case .int8, .int16, .int32, .int64:
          (dtype.byteCount * 8 - 1, dtype.byteCount * 8 - 1, 0, true, false)
        case .float16: (11, 15, -24, true, true)
        case .bfloat16: (8, 127, -133, true, true)
        case .float32: (24, 127, -149, true, true)
        case .float64: (53, 1023, -1074, true, true)
        case .float8e4m3fn, .float8e5m2, .complex64: (0, 0, 0, false, false)
        }
      if bitCount == 0 { return nil }
    }
  }

  #if os(macOS) && arch(x86_64)
    private static let hasFloat16 = false
  #else
    private static let hasFloat16 = true
  #endif

  /// An element between the two types; every element of every supported dtype is one exactly.
  private enum Number {
    case signed(Int64)
    case unsigned(UInt64)
    case float(Double)
  }

  /// Converts all elements.
  ///
  /// - Parameters:
  ///   - bytes: The elements, little-endian.
  ///   - target: Room for as many elements of the other dtype.
  ///   - first: How many elements the tensor has before these, for messages.
  /// - Throws: ``Failure`` naming the first element that does not fit.
  package func convert(
    _ bytes: RawSpan, into target: UnsafeMutableRawBufferPointer, first: UInt64 = 0
  ) throws(Failure) {
    guard Self.isSupported(source), Self.isSupported(self.target) else {
      throw Failure(sentence: "\(source.name) cannot be converted to \(self.target.name)")
    }
    let (width, size) = (source.byteCount, self.target.byteCount)
    let count = bytes.byteCount / width
    guard target.count == count * size else {
      throw Failure(sentence: "\(count) elements do not fill \(target.count) bytes")
    }
    for index in 0..<count {
      let number = load(bytes, index * width)
      guard let bits = encode(number) else {
        throw Failure(
          sentence:
            "element \(first + UInt64(index)), \(Self.text(number)), does not fit \(self.target.name)"
        )
      }
      // SAFETY: the target has room for as many elements, checked above.
      let place = index * size
      switch size {
      case 1:
        unsafe target.storeBytes(
          of: UInt8(truncatingIfNeeded: bits), toByteOffset: place, as: UInt8.self)
      case 2:
        unsafe target.storeBytes(
          of: UInt16(truncatingIfNeeded: bits).littleEndian, toByteOffset: place, as: UInt16.self)
      case 4:
        unsafe target.storeBytes(
          of: UInt32(truncatingIfNeeded: bits).littleEndian, toByteOffset: place, as: UInt32.self)
      default: unsafe target.storeBytes(of: bits.littleEndian, toByteOffset: place, as: UInt64.self)
      }
    }
  }

  /// An element as the nearest double.
  func value(of bytes: RawSpan, at index: Int) -> Double {
    switch load(bytes, index * source.byteCount) {
    case .signed(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .float(let value): value
    }
  }

  /// Whether an element is the number, compared without rounding either.
  func isExactly(_ number: Double, of bytes: RawSpan, at index: Int) -> Bool {
    switch load(bytes, index * source.byteCount) {
    case .signed(let value): Double(exactly: value) == number
    case .unsigned(let value): Double(exactly: value) == number
    case .float(let value): value == number
    }
  }

  private static func text(_ number: Number) -> String {
    switch number {
    case .signed(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .float(let value): "\(value)"
    }
  }

  /// The bits of an element, in one load.
  @inline(__always)
  private func littleEndian(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    // SAFETY: the element lies within the bytes, whose number was divided by its width.
    switch source.byteCount {
    case 1: UInt64(unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
    case 2:
      UInt64(
        UInt16(
          littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    case 4:
      UInt64(
        UInt32(
          littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    default:
      UInt64(
        littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
  }

  @inline(__always)
  private func load(_ bytes: RawSpan, _ offset: Int) -> Number {
    let bits = littleEndian(bytes, offset)
    return switch source {
    case .bool: .unsigned(bits == 0 ? 0 : 1)
    case .uint8, .uint16, .uint32, .uint64: .unsigned(bits)
    case .int8: .signed(Int64(Int8(truncatingIfNeeded: bits)))
    case .int16: .signed(Int64(Int16(truncatingIfNeeded: bits)))
    case .int32: .signed(Int64(Int32(truncatingIfNeeded: bits)))
    case .int64: .signed(Int64(bitPattern: bits))
    case .float64: .float(Double(bitPattern: bits))
    case .float32: .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
    case .bfloat16: .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits) << 16)))
    case .float16: .float(Self.fromFloat16(UInt16(truncatingIfNeeded: bits)))
    case .float8e4m3fn, .float8e5m2, .complex64: .float(.nan)
    }
  }

  /// The bits of an element, or nil if the number does not fit.
  private func encode(_ number: Number) -> UInt64? {
    switch target {
    case .bool: integer(number, UInt8.self).flatMap { $0 <= 1 ? UInt64($0) : nil }
    case .int8: integer(number, Int8.self).map { UInt64(truncatingIfNeeded: $0) }
    case .int16: integer(number, Int16.self).map { UInt64(truncatingIfNeeded: $0) }
    case .int32: integer(number, Int32.self).map { UInt64(truncatingIfNeeded: $0) }
    case .int64: integer(number, Int64.self).map { UInt64(truncatingIfNeeded: $0) }
    case .uint8: integer(number, UInt8.self).map { UInt64($0) }
    case .uint16: integer(number, UInt16.self).map { UInt64($0) }
    case .uint32: integer(number, UInt32.self).map { UInt64($0) }
    case .uint64: integer(number, UInt64.self)
    case .float64:
      switch number {
      case .signed(let value): Double(value).bitPattern
      case .unsigned(let value): Double(value).bitPattern
      case .float(let value): value.bitPattern
      }
    case .float32:
      finite(number) {
        UInt64(Float($0).bitPattern)
      } isInfinite: {
        $0 << 33 == 0xff << 56
      }
    case .bfloat16:
      finite(number) {
        UInt64(Self.bfloat16($0))
      } isInfinite: {
        $0 & 0x7fff == 0x7f80
      }
    case .float16:
      finite(number) {
        UInt64(Self.float16($0))
      } isInfinite: {
        $0 & 0x7fff == 0x7c00
      }
    case .float8e4m3fn, .float8e5m2, .complex64: nil
    }
  }

  private func integer<Value: FixedWidthInteger>(_ number: Number, _ type: Value.Type) -> Value? {
    switch number {
    case .signed(let value): Value(exactly: value)
    case .unsigned(let value): Value(exactly: value)
    case .float(let value): Value(exactly: value)
    }
  }

  /// The number as a Double that a narrower type rounds as if it were the number itself.
  private func real(_ number: Number) -> Double {
    switch number {
    case .signed(let value):
      value < 0 ? -Self.roundedToOdd(value.magnitude) : Self.roundedToOdd(value.magnitude)
    case .unsigned(let value): Self.roundedToOdd(value)
    case .float(let value): value
    }
  }

  /// The first 53 bits, the last of which says whether others were set.
  private static func roundedToOdd(_ value: UInt64) -> Double {
    let surplus = max(0, 64 - value.leadingZeroBitCount - 53)
    let kept = (value >> UInt64(surplus)) << UInt64(surplus)
    let whole = Double(kept)
    return kept == value ? whole : Double(bitPattern: whole.bitPattern | 1)
  }

  private func finite(
    _ number: Number, _ encode: (Double) -> UInt64, isInfinite: (UInt64) -> Bool
  ) -> UInt64? {
    let value = real(number)
    let bits = encode(value)
    return value.isFinite && isInfinite(bits) ? nil : bits
  }

  /// The upper half of the nearest binary32, rounded once.
  private static func bfloat16(_ value: Double) -> UInt16 {
    var single = Float(value)
    if single.isNaN { return UInt16(single.bitPattern >> 16) | 0x40 }
    if single.isFinite, Double(single) != value {
      // Rounded to odd, so that the second rounding has what it needs of the first.
      if Double(single.magnitude) > value.magnitude { single = single.towardZero }
      single = Float(bitPattern: single.bitPattern | 1)
    }
    let bits = single.bitPattern
    return UInt16(truncatingIfNeeded: (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
  }

  #if os(macOS) && arch(x86_64)
    private static func fromFloat16(_ bits: UInt16) -> Double { .nan }
    private static func float16(_ value: Double) -> UInt16 { 0 }
  #else
    private static func fromFloat16(_ bits: UInt16) -> Double { Double(Float16(bitPattern: bits)) }
    private static func float16(_ value: Double) -> UInt16 { Float16(value).bitPattern }
  #endif
}

extension Float {
  /// The next number on the way to zero.
  fileprivate var towardZero: Float { Float(bitPattern: bitPattern - 1) }
}
