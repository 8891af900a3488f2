// Names as they lie in a table, compared and checked in place: making a String of each would cost more
// than all other checks of a table together.

/// What the bytes of a name are worth.
enum NameQuality {
  /// UTF-8 without control characters; maybe of no bytes.
  case clean
  case unprintable
  case invalidUTF8
}

extension RawSpan {
  private static let highBits: UInt64 = 0x8080_8080_8080_8080

  /// Whether these bytes may be a name.
  ///
  /// - Complexity: O(bytes), and no allocation.
  func nameQuality() -> NameQuality {
    var index = 0
    while byteCount - index >= 8, Self.isCleanASCII(littleEndianWord(at: index)) { index += 8 }
    while index < byteCount, (0x20..<0x7F).contains(self[byteAt: index]) { index += 1 }
    return index == byteCount ? .clean : fullNameQuality()
  }

  /// The same for names in any script.
  private func fullNameQuality() -> NameQuality {
    guard (try? UTF8Span(validating: Span<UInt8>(_bytes: self))) != nil else { return .invalidUTF8 }
    var previous: UInt8 = 0
    for index in 0..<byteCount {
      let byte = self[byteAt: index]
      if TensorDescriptor.isControl(byte, after: previous) { return .unprintable }
      previous = byte
    }
    return .clean
  }

  /// Whether no byte is above 7F.
  fileprivate var isASCII: Bool {
    var index = 0
    while byteCount - index >= 8, littleEndianWord(at: index) & Self.highBits == 0 { index += 8 }
    while index < byteCount, self[byteAt: index] < 0x80 { index += 1 }
    return index == byteCount
  }

  /// Whether all eight bytes are 20 to 7E.
  private static func isCleanASCII(_ word: UInt64) -> Bool {
    // Below 80, neither sum carries from one byte into the next.
    word & highBits == 0
      && (word + 0x6060_6060_6060_6060) & highBits == highBits
      && (word + 0x0101_0101_0101_0101) & highBits == 0
  }

  /// Whether these bytes come before others: unsigned, a prefix before the longer text.
  func precedes(_ other: RawSpan) -> Bool {
    let common = min(byteCount, other.byteCount)
    var index = 0
    while common - index >= 8 {
      let (left, right) = (littleEndianWord(at: index), other.littleEndianWord(at: index))
      if left != right { return left.byteSwapped < right.byteSwapped }
      index += 8
    }
    while index < common {
      let (left, right) = (self[byteAt: index], other[byteAt: index])
      if left != right { return left < right }
      index += 1
    }
    return byteCount < other.byteCount
  }

  /// The first eight bytes as a number that compares as they do; what is missing counts as 0.
  func leadingWord(from index: Int) -> UInt64 {
    if byteCount - index >= 8 { return littleEndianWord(at: index).byteSwapped }
    var word: UInt64 = 0
    for place in 0..<8 {
      let next = index + place
      word = word << 8 | (next < byteCount ? UInt64(self[byteAt: next]) : 0)
    }
    return word
  }
}

extension String {
  /// Whether no scalar is above U+007F.
  package var isASCII: Bool { withNameBytes { $0.isASCII } }

  /// Calls `body` with the bytes of the text, in place if it is one of Swift's own.
  package func withNameBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    let result = unsafe utf8.withContiguousStorageIfAvailable { buffer in
      // SAFETY: the span is used within the call only.
      unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer)))
    }
    return result ?? body(Array(utf8).rawSpan)
  }
}
