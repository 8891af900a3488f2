// A checkpoint file is mostly zeros: padding, and room for branch points. An input names the runs of
// zeros and gives the other bytes, so that it is short and mutations hit bytes that matter.

/// Bytes with their runs of zeros left out.
///
/// A count of zeros, a count of others, the others, and so on; every input means something.
enum SparseBytes {
  private static let runByteCountMin = 8

  static func expanded(_ input: [UInt8], atMost limit: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var source = ByteSource(input)
    while !source.isEmpty, bytes.count < limit {
      let zeroCount = min(Int(source.uint16()), limit - bytes.count)
      bytes.append(contentsOf: repeatElement(0, count: zeroCount))
      let otherCount = min(Int(source.uint16()), limit - bytes.count)
      bytes.append(contentsOf: source.bytes(atMost: otherCount))
    }
    return bytes
  }

  static func compacted(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var position = 0
    while position < bytes.count {
      let zeroCount = min(bytes[position...].prefix { $0 == 0 }.count, Int(UInt16.max))
      let start = position + zeroCount
      var end = start
      var zerosInARow = 0
      while end < bytes.count, zerosInARow < runByteCountMin, end - start < Int(UInt16.max) {
        zerosInARow = bytes[end] == 0 ? zerosInARow + 1 : 0
        end += 1
      }
      if zerosInARow == runByteCountMin { end -= runByteCountMin }
      result += littleEndian(UInt16(zeroCount)) + littleEndian(UInt16(end - start))
      result += bytes[start..<end]
      position = end
    }
    return result
  }
}

/// Takes an input apart; behind its end there are zeros.
struct ByteSource {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func uint8() -> UInt8 { rest.popFirst() ?? 0 }
  mutating func uint16() -> UInt16 { UInt16(uint8()) | UInt16(uint8()) << 8 }
  mutating func uint64() -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(uint8()) << (8 * $1) } }

  /// A number below `count`.
  mutating func below(_ count: Int) -> Int { Int(uint8()) % count }

  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  mutating func bytes(atMost count: Int) -> [UInt8] {
    let taken = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    return taken
  }

  mutating func bytes(exactly count: Int) -> [UInt8] {
    let taken = bytes(atMost: count)
    return taken + [UInt8](repeating: 0, count: count - taken.count)
  }

  mutating func remaining() -> [UInt8] { bytes(atMost: rest.count) }
}
