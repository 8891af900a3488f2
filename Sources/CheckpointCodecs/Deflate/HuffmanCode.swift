/// Lengths of a complete prefix code, no longer than a limit, that fits how often symbols occur.
///
/// - SeeAlso: D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952;
///   L. Larmore and D. Hirschberg, "A Fast Algorithm for Optimal Length-Limited Huffman Codes", 1990;
///   RFC 1951, section 3.2.2, for the codes that follow from the lengths.
package enum HuffmanCode {
  /// The lengths of a code; 0 for a symbol that does not occur.
  ///
  /// - Parameters:
  ///   - counts: How often each symbol occurs; at least two do.
  ///   - limit: The longest code, in bits; 2^limit is at least the number of symbols.
  /// - Returns: Lengths whose sum of 2^-length is exactly 1, and with which the symbols take the
  ///   least number of bits.
  package static func lengths(of counts: [UInt32], limit: Int) -> [UInt8] {
    // Sorted by count; equal counts by symbol, so that one input has one code.
    var sorted: [UInt64] = []
    for (symbol, count) in counts.enumerated() where count > 0 {
      sorted.append(UInt64(count) << 32 | UInt64(symbol))
    }
    sorted.sort()
    precondition(sorted.count >= 2 && sorted.count <= 1 << limit, "no code has such lengths")
    let weights = sorted.map { $0 >> 32 }
    var depths = depths(of: weights)
    // The rarest is the deepest.
    if depths[0] > limit { depths = self.depths(of: weights, limit: limit) }
    var lengths = [UInt8](repeating: 0, count: counts.count)
    for (entry, depth) in zip(sorted, depths) {
      lengths[Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)] = UInt8(depth)
    }
    return lengths
  }

  /// How deep each of some ascending weights lies in Huffman's tree.
  private static func depths(of weights: [UInt64]) -> [Int] {
    let count = weights.count
    // Inner nodes come into being in ascending order too: two queues take the place of a heap.
    var inner: [UInt64] = []
    var leafParents = [Int](repeating: 0, count: count)
    var innerParents = [Int](repeating: 0, count: count)
    inner.reserveCapacity(count)
    var (leaf, node) = (0, 0)
    for parent in 0..<count - 1 {
      var sum: UInt64 = 0
      for _ in 0..<2 {
        if leaf < count, node >= inner.count || weights[leaf] <= inner[node] {
          sum += weights[leaf]
          leafParents[leaf] = parent
          leaf += 1
        } else {
          sum += inner[node]
          innerParents[node] = parent
          node += 1
        }
      }
      inner.append(sum)
    }
    // A parent comes after its children, so depths are known from the last, the root, down.
    var innerDepths = [Int](repeating: 0, count: count)
    for node in (0..<count - 2).reversed() {
      innerDepths[node] = innerDepths[innerParents[node]] + 1
    }
    return leafParents.map { innerDepths[$0] + 1 }
  }

  /// How deep each of some ascending weights lies in the best tree of a limited depth.
  ///
  /// Each level offers the symbols, and packages of two offers of the level below. The cheapest 2n - 2 offers
  /// of the last level are taken, with all that is in them: as often as a symbol is, so deep it lies.
  private static func depths(of weights: [UInt64], limit: Int) -> [Int] {
    let count = weights.count
    var offers = weights
    var levels = [[Bool](repeating: true, count: count)]  // whether an offer is a symbol
    for _ in 1..<limit {
      var (merged, kinds): ([UInt64], [Bool]) = ([], [])
      merged.reserveCapacity(2 * count)
      kinds.reserveCapacity(2 * count)
      var (symbol, package) = (0, 0)
      while symbol < count || package + 1 < offers.count {
        let price = package + 1 < offers.count ? offers[package] + offers[package + 1] : .max
        let isSymbol = symbol < count && weights[symbol] <= price
        merged.append(isSymbol ? weights[symbol] : price)
        kinds.append(isSymbol)
        if isSymbol { symbol += 1 } else { package += 2 }
      }
      offers = merged
      levels.append(kinds)
    }
    var depths = [Int](repeating: 0, count: count)
    var takenCount = 2 * count - 2
    for kinds in levels.reversed() {
      let symbolCount = kinds.prefix(takenCount).count { $0 }
      for symbol in 0..<symbolCount { depths[symbol] += 1 }
      takenCount = 2 * (takenCount - symbolCount)
    }
    return depths
  }

  /// The code of each symbol with its bits reversed, as DEFLATE writes them, first bit lowest.
  static func codes(of lengths: [UInt8], limit: Int) -> [UInt16] {
    var counts = [Int](repeating: 0, count: limit + 1)
    for length in lengths where length > 0 { counts[Int(length)] += 1 }
    var next = [UInt16](repeating: 0, count: limit + 1)
    for length in stride(from: 2, through: limit, by: 1) {
      next[length] = (next[length - 1] + UInt16(counts[length - 1])) << 1
    }
    return lengths.map { length in
      guard length > 0 else { return 0 }
      defer { next[Int(length)] += 1 }
      return next[Int(length)].reversedBits >> UInt16(16 - length)
    }
  }
}

extension UInt16 {
  fileprivate var reversedBits: UInt16 {
    var value = self
    value = (value & 0x5555) << 1 | (value >> 1) & 0x5555
    value = (value & 0x3333) << 2 | (value >> 2) & 0x3333
    value = (value & 0x0F0F) << 4 | (value >> 4) & 0x0F0F
    return value.byteSwapped
  }
}
