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
    for index in 0..<byteCount where self[byteAt: index] != 0 { return index }
    return nil
  }

  /// Whether both spans hold the same bytes.
  package func elementsEqual(_ other: RawSpan) -> Bool {
    firstDifference(from: other) == nil
  }

  /// The index of the first byte that differs, or the shorter length; nil if the spans are equal.
  package func firstDifference(from other: RawSpan) -> Int? {
    let common = min(byteCount, other.byteCount)
    for index in 0..<common where self[byteAt: index] != other[byteAt: index] { return index }
    return byteCount == other.byteCount ? nil : common
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
  package func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

  /// Feeds the hasher what ``hasSameBytes(as:)`` compares.
  package func hashBytes(into hasher: inout Hasher) {
    for byte in utf8 { hasher.combine(byte) }
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
