internal import CheckpointFormat

/// How far the elements of two tensors of one dtype and shape lie apart.
///
/// Whether elements differ is a matter of their bits: -0 and 0 do, and so do two NaN with other payloads.
/// Distances are measured between finite numbers only; a complex element is measured by its parts.
package struct ElementDifference: Hashable, Sendable {
  /// Elements of which not all bits are the same.
  package internal(set) var changedCount: UInt64 = 0
  /// Of these, those of which a number is NaN or infinite on either side, so that the others measure all
  /// but them.
  package internal(set) var notFiniteCount: UInt64 = 0
  /// The greatest distance; nil where none was measured.
  ///
  /// Of integers exact up to 2^53.
  package internal(set) var absoluteMax: Double?
  /// The greatest distance as a part of the larger magnitude of the two, 0 to 2.
  package internal(set) var relativeMax: Double?
  /// The greatest number of steps from a float to the next that lead from one to the other.
  ///
  /// 0 from -0 to 0; nil for other dtypes.
  package internal(set) var stepMax: UInt64?

  mutating func add(_ other: ElementDifference) {
    changedCount += other.changedCount
    notFiniteCount += other.notFiniteCount
    absoluteMax = [absoluteMax, other.absoluteMax].compactMap(\.self).max()
    relativeMax = [relativeMax, other.relativeMax].compactMap(\.self).max()
    stepMax = [stepMax, other.stepMax].compactMap(\.self).max()
  }

  init() {}

  /// Compares the little-endian elements of a dtype.
  ///
  /// - Precondition: Both have as many bytes.
  init(_ left: RawSpan, _ right: RawSpan, of dtype: DType) {
    precondition(left.byteCount == right.byteCount, "elements are compared one by one")
    // Most windows of two checkpoints of a run that agrees are the same.
    if left.elementsEqual(right) { return }
    switch dtype {
    case .bool: compare(left, right, UInt8.self) { _, _, _ in }
    case .int8: compare(left, right, Int8.self) { $0.add($1, $2) }
    case .int16: compare(left, right, Int16.self) { $0.add($1, $2) }
    case .int32: compare(left, right, Int32.self) { $0.add($1, $2) }
    case .int64: compare(left, right, Int64.self) { $0.add($1, $2) }
    case .uint8: compare(left, right, UInt8.self) { $0.add($1, $2) }
    case .uint16: compare(left, right, UInt16.self) { $0.add($1, $2) }
    case .uint32: compare(left, right, UInt32.self) { $0.add($1, $2) }
    case .uint64: compare(left, right, UInt64.self) { $0.add($1, $2) }
    case .float8e4m3fn: compare(left, right, UInt8.self, .float8e4m3fn)
    case .float8e5m2: compare(left, right, UInt8.self, .float8e5m2)
    case .float16: compare(left, right, UInt16.self, .float16)
    case .bfloat16: compare(left, right, UInt16.self, .bfloat16)
    case .float32:
      compare(left, right, UInt32.self) { sum, one, other in
        sum.add(one, other) { Double(Float(bitPattern: $0)) }
      }
    case .float64:
      compare(left, right, UInt64.self) { sum, one, other in
        sum.add(one, other) { Double(bitPattern: $0) }
      }
    case .complex64:
      compare(left, right, UInt64.self) { sum, one, other in
        var parts = ElementDifference()
        for shift: UInt64 in [0, 32] {
          let pair = (
            UInt32(truncatingIfNeeded: one >> shift), UInt32(truncatingIfNeeded: other >> shift)
          )
          if pair.0 != pair.1 { parts.add(pair.0, pair.1) { Double(Float(bitPattern: $0)) } }
        }
        parts.notFiniteCount = min(1, parts.notFiniteCount)
        sum.add(parts)
      }
    }
  }

  /// Calls `measure` with each pair that differs.
  @inline(__always)
  private mutating func compare<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ left: RawSpan, _ right: RawSpan, _ type: Bits.Type,
    _ measure: (inout ElementDifference, Bits, Bits) -> Void
  ) {
    let width = MemoryLayout<Bits>.size
    for index in 0..<left.byteCount / width {
      let (one, other) = (
        left.integer(at: index * width) as Bits, right.integer(at: index * width) as Bits
      )
      guard one != other else { continue }
      changedCount += 1
      measure(&self, one, other)
    }
  }

  private mutating func compare<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ left: RawSpan, _ right: RawSpan, _ type: Bits.Type, _ format: SmallFloat
  ) {
    compare(left, right, type) { sum, one, other in
      sum.add(one, other) { Double(format.value(UInt32($0))) }
    }
  }

  @inline(__always)
  private mutating func add<Integer: FixedWidthInteger>(_ one: Integer, _ other: Integer) {
    let distance = Double(one > other ? distance(other, one) : distance(one, other))
    noteDistance(distance, scale: Double(max(one.magnitude, other.magnitude)))
  }

  /// From the lesser to the greater; fits, whatever the two are.
  private func distance<Integer: FixedWidthInteger>(_ least: Integer, _ most: Integer) -> UInt64 {
    UInt64(truncatingIfNeeded: most) &- UInt64(truncatingIfNeeded: least)
  }

  @inline(__always)
  private mutating func add<Bits: FixedWidthInteger & UnsignedInteger>(
    _ one: Bits, _ other: Bits, _ value: (Bits) -> Double
  ) {
    let (first, second) = (value(one), value(other))
    guard first.isFinite, second.isFinite else {
      notFiniteCount += 1
      return
    }
    noteDistance(abs(first - second), first, second)
    let sign: Bits = 1 << (Bits.bitWidth - 1)
    let magnitudes = (UInt64(one & ~sign), UInt64(other & ~sign))
    // Floats are as many steps from zero as their magnitude's bits say.
    let steps =
      (one ^ other) & sign == 0
      ? max(magnitudes.0, magnitudes.1) - min(magnitudes.0, magnitudes.1)
      : magnitudes.0 + magnitudes.1
    stepMax = max(stepMax ?? 0, steps)
  }

  private mutating func noteDistance(_ distance: Double, _ first: Double, _ second: Double) {
    let scale = max(abs(first), abs(second))
    if distance.isFinite { return noteDistance(distance, scale: scale) }
    // The distance is too large for a Double, its part of the larger number is not.
    absoluteMax = .infinity
    relativeMax = max(relativeMax ?? 0, abs(first / scale - second / scale))
  }

  private mutating func noteDistance(_ distance: Double, scale: Double) {
    absoluteMax = max(absoluteMax ?? 0, distance)
    relativeMax = max(relativeMax ?? 0, scale == 0 ? 0 : distance / scale)
  }
}
