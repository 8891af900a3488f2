extension [UInt8] {
  /// The array's bytes, borrowed.
  package var rawSpan: RawSpan {
    @_lifetime(borrow self)
    get {
      // SAFETY: the view is unsafe for element types with padding; a byte has none.
      unsafe span.bytes
    }
  }
}

extension RawSpan {
  /// The index of the first byte that is not zero.
  package var firstNonZeroIndex: Int? {
    var index = 0
    // Most of a small file is padding: eight bytes at a time.
    while byteCount - index >= 8, word(at: index) == 0 { index += 8 }
    while index < byteCount, self[byteAt: index] == 0 { index += 1 }
    return index < byteCount ? index : nil
  }

  /// Whether both spans hold the same bytes.
  package func elementsEqual(_ other: RawSpan) -> Bool {
    firstDifference(from: other) == nil
  }

  /// The index of the first byte that differs, or the shorter length; nil if the spans are equal.
  package func firstDifference(from other: RawSpan) -> Int? {
    let common = min(byteCount, other.byteCount)
    var index = 0
    while common - index >= 8, word(at: index) == other.word(at: index) { index += 8 }
    while index < common, self[byteAt: index] == other[byteAt: index] { index += 1 }
    return index < common || byteCount != other.byteCount ? index : nil
  }

  /// Eight bytes as a little-endian number.
  func littleEndianWord(at index: Int) -> UInt64 { UInt64(littleEndian: word(at: index)) }

  /// Four bytes as a little-endian number.
  func littleEndianHalfWord(at index: Int) -> UInt32 {
    precondition(index >= 0 && index <= byteCount - 4, "number outside the span")
    // SAFETY: the precondition keeps the load inside the span; every bit pattern is a number.
    return UInt32(
      littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt32.self))
  }

  /// Eight bytes as a number in the machine's own order, for comparisons only.
  private func word(at index: Int) -> UInt64 {
    precondition(index >= 0 && index <= byteCount - 8, "word index outside the span")
    // SAFETY: the precondition keeps the load inside the span; every bit pattern is a number.
    return unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
  }

  /// One byte.
  package subscript(byteAt index: Int) -> UInt8 {
    precondition(index >= 0 && index < byteCount, "byte index outside the span")
    // SAFETY: the precondition keeps the load inside the span.
    return unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
  }

  /// A copy of the bytes.
  package func copied() -> [UInt8] {
    unsafe withUnsafeBytes { buffer in
      // SAFETY: the buffer is only read, inside this closure.
      unsafe [UInt8](buffer)
    }
  }
}

extension String {
  /// Whether both texts have the same bytes; `==` also holds for canonically equivalent text.
  package func hasSameBytes(as other: String) -> Bool {
    withNameBytes { own in other.withNameBytes { own.elementsEqual($0) } }
  }

  /// Feeds the hasher what ``hasSameBytes(as:)`` compares.
  package func hashBytes(into hasher: inout Hasher) {
    withNameBytes { bytes in
      // SAFETY: the hasher reads the buffer within the call.
      unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
    hasher.combine(UInt8(0xFF))  // stands in no UTF-8: what follows is another text
  }

  /// The text, if the bytes are valid UTF-8.
  package init?(validating utf8: RawSpan) {
    let text = unsafe utf8.withUnsafeBytes { buffer in
      // SAFETY: the buffer is only read, inside this closure.
      unsafe String(validating: buffer, as: UTF8.self)
    }
    guard let text else { return nil }
    self = text
  }
}
