/// Chunks of planes and their streams, made by the letter of the format and not by the library.
///
/// What the library's encoder would never write is written here as well.
package struct HandMadeChunk {
  package enum Plane {
    case stored([UInt8])
    case constant(UInt8)
    case streams([[UInt8]])
  }

  package var isRotated = false
  package var planes: [Plane]

  package init(isRotated: Bool = false, _ planes: [Plane]) {
    self.isRotated = isRotated
    self.planes = planes
  }

  package var bytes: [UInt8] {
    var head: [UInt8] = [UInt8(planes.count), isRotated ? 1 : 0, 0, 0]
    var contents: [UInt8] = []
    for plane in planes {
      switch plane {
      case .stored(let bytes):
        head += [0, 0, 0, 0]
        contents += bytes
      case .constant(let byte):
        head += [1, 0, 0, 0]
        contents.append(byte)
      case .streams(let streams):
        head += [2, UInt8(truncatingIfNeeded: streams.count), 0, 0]
        for stream in streams { contents += littleEndian(UInt32(stream.count)) }
        for stream in streams { contents += stream }
      }
    }
    return head + contents
  }

  /// The pieces that a plane's streams hold, each of them but the last of the same length.
  package static func pieces(of plane: [UInt8], _ count: Int) -> [[UInt8]] {
    let byteCount = (plane.count + count - 1) / count
    return (0..<count).map {
      Array(plane[min($0 * byteCount, plane.count)..<min(($0 + 1) * byteCount, plane.count)])
    }
  }
}

/// Bits as DEFLATE orders them.
package struct BitString {
  package private(set) var bytes: [UInt8] = []
  package private(set) var bitCount = 0

  package init() {}

  /// Appends a number, lowest bit first.
  package mutating func append(_ number: Int, _ count: Int) {
    for bit in 0..<count {
      if bitCount % 8 == 0 { bytes.append(0) }
      bytes[bytes.count - 1] |= UInt8((number >> bit) & 1) << UInt8(bitCount % 8)
      bitCount += 1
    }
  }

  /// Appends a code, highest bit first.
  mutating func append(code: Int, _ length: Int) {
    for bit in (0..<length).reversed() { append(code >> bit & 1, 1) }
  }
}

/// A block of literals with dynamic codes and without distances (RFC 1951, section 3.2.7).
package struct LiteralBlock {
  /// The length of each of the 257 codes.
  package let lengths: [Int]
  /// How the lengths are written: one by one, or with repetitions.
  package let usesRuns: Bool

  package init(lengths: [Int], usesRuns: Bool) {
    self.lengths = lengths
    self.usesRuns = usesRuns
  }

  /// A complete code of some symbols and of the end of the block.
  ///
  /// - Parameters:
  ///   - symbols: Which bytes have a code; at least one.
  ///   - limit: The longest code.
  ///   - random: Decides the lengths.
  ///   - usesRuns: How they are written.
  package init(
    symbols: Set<UInt8>, limit: Int, using random: inout some RandomNumberGenerator, usesRuns: Bool
  ) {
    var depths = [0]
    while depths.count <= symbols.count {
      // A leaf becomes two; a code that has reached its limit is left alone.
      let candidates = depths.indices.filter { depths[$0] < limit }
      let leaf = candidates[Int.random(in: candidates.indices, using: &random)]
      depths[leaf] += 1
      depths.append(depths[leaf])
    }
    var lengths = [Int](repeating: 0, count: 257)
    for (symbol, depth) in zip(
      symbols.sorted().map(Int.init) + [256], depths.shuffled(using: &random))
    {
      lengths[symbol] = depth
    }
    self.init(lengths: lengths, usesRuns: usesRuns)
  }

  /// Codes of given lengths, by the algorithm of RFC 1951, section 3.2.2.
  static func codes(_ lengths: [Int]) -> [Int] {
    var codes = [Int](repeating: 0, count: lengths.count)
    var next = 0
    for length in 1...15 {
      for symbol in lengths.indices where lengths[symbol] == length {
        codes[symbol] = next
        next += 1
      }
      next <<= 1
    }
    return codes
  }

  /// Everything in front of the first literal.
  package var head: BitString {
    var bits = BitString()
    bits.append(1, 1)  // the last block
    bits.append(2, 2)  // dynamic codes
    bits.append(0, 5)  // 257 symbols
    bits.append(0, 5)  // one length for distances
    bits.append(19 - 4, 4)
    // 13/16 + 6/32 = 1
    let lengthLengths = [Int](repeating: 4, count: 13) + [Int](repeating: 5, count: 6)
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    for symbol in order { bits.append(lengthLengths[symbol], 3) }
    let codes = Self.codes(lengthLengths)
    func put(_ symbol: Int) { bits.append(code: codes[symbol], lengthLengths[symbol]) }
    var rest = (lengths + [0])[...]
    while let length = rest.first {
      let run = rest.prefix { $0 == length }.count
      if usesRuns, length == 0, run >= 3 {
        let part = min(run, 138)
        put(part < 11 ? 17 : 18)
        bits.append(part < 11 ? part - 3 : part - 11, part < 11 ? 3 : 7)
        rest = rest.dropFirst(part)
      } else if usesRuns, run >= 4 {
        let part = min(run - 1, 6)
        put(length)
        put(16)
        bits.append(part - 3, 2)
        rest = rest.dropFirst(part + 1)
      } else {
        put(length)
        rest = rest.dropFirst()
      }
    }
    return bits
  }

  /// A whole stream.
  ///
  /// - Parameters:
  ///   - bytes: What it holds; all have codes.
  ///   - filling: The bits behind its end, in its last byte.
  /// - Returns: The stream.
  package func stream(_ bytes: [UInt8], filling: Int = 0) -> [UInt8] {
    var bits = head
    let codes = Self.codes(lengths)
    for symbol in bytes.map(Int.init) + [256] {
      bits.append(code: codes[symbol], lengths[symbol])
    }
    bits.append(filling, (8 - bits.bitCount % 8) % 8)
    return bits.bytes
  }
}
