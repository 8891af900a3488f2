import CheckpointCodecs
import CheckpointTesting
import Testing

// Goal: the lengths are those of a complete code within the limit, and no other takes fewer bits.
// Method: histograms of all shapes, some of which force the limit; the least cost comes from package-merge
// (L. Larmore and D. Hirschberg, 1990), written here as sums alone.
@Suite struct HuffmanCodeTests {
  /// The least number of bits that a code with lengths up to `limit` needs.
  private func leastBitCount(_ counts: [UInt32], limit: Int) -> UInt64 {
    let weights = counts.filter { $0 > 0 }.map(UInt64.init).sorted()
    // What is bought in the end are the 2n - 2 cheapest packages, each coin in them is a bit of a symbol.
    var packages = weights
    for _ in 1..<limit {
      let pairs = stride(from: 0, to: packages.count - 1, by: 2).map {
        packages[$0] + packages[$0 + 1]
      }
      packages = (weights + pairs).sorted()
    }
    return packages.prefix(2 * weights.count - 2).reduce(0, +)
  }

  private func bitCount(_ counts: [UInt32], _ lengths: [UInt8]) -> UInt64 {
    zip(counts, lengths).reduce(0) { $0 + UInt64($1.0) * UInt64($1.1) }
  }

  private func histograms() -> [(String, [UInt32])] {
    var generator = SplitMix64(state: 11)
    var result: [(String, [UInt32])] = []
    for symbolCount in Array(2...24) + [64, 128, 255, 256, 257] {
      func add(_ name: String, _ count: (Int) -> UInt32) {
        result.append(("\(symbolCount) \(name)", (0..<symbolCount).map(count)))
      }
      add("equal counts") { _ in 3 }
      add("random counts") { _ in UInt32(1 + generator.next() % 100_000) }
      add("small counts") { _ in UInt32(1 + generator.next() % 3) }
      add("powers of two") { 1 << UInt32(min($0, 25)) }
      add("powers of two, descending") { 1 << UInt32(max(0, 25 - $0)) }
      add("one frequent symbol") { $0 == 1 ? 60_000_000 : 1 }
      add("squares") { UInt32(($0 + 1) * ($0 + 1)) }
      var (last, next): (UInt32, UInt32) = (1, 1)
      add("Fibonacci numbers") { _ in
        defer { (last, next) = (next, next < 40_000_000 ? last + next : next) }
        return last
      }
      add("steep counts") { UInt32(1 + 60_000_000 / (1 << min($0 / 3, 30))) }
    }
    return result
  }

  @Test func everyCodeIsCompleteAndWithinTheLimit() {
    for (name, counts) in histograms() {
      for limit in [7, 9, 11, 15] where counts.count <= 1 << limit {
        let lengths = HuffmanCode.lengths(of: counts, limit: limit)
        let sum = lengths.reduce(0) { $0 + (1 << limit) >> Int($1) }
        #expect(sum == 1 << limit, "\(name), limit \(limit): \(lengths)")
        #expect(lengths.allSatisfy { (1...limit).contains(Int($0)) }, "\(name), limit \(limit)")
      }
    }
  }

  @Test func symbolsThatDoNotOccurHaveNoCode() {
    var counts = [UInt32](repeating: 0, count: 257)
    for symbol in [3, 70, 71, 255, 256] { counts[symbol] = UInt32(symbol) }
    let lengths = HuffmanCode.lengths(of: counts, limit: 11)
    for symbol in 0...256 { #expect((lengths[symbol] > 0) == (counts[symbol] > 0)) }
  }

  @Test func noCodeWithinTheLimitTakesFewerBits() {
    var limitedCount = 0
    for (name, counts) in histograms() {
      for limit in [7, 9, 11, 15] where counts.count <= 1 << limit {
        let least = leastBitCount(counts, limit: limit)
        let taken = bitCount(counts, HuffmanCode.lengths(of: counts, limit: limit))
        #expect(taken == least, "\(name), limit \(limit)")
        if leastBitCount(counts, limit: 40) < least { limitedCount += 1 }
      }
    }
    #expect(limitedCount > 50, "hardly a histogram forces the limit")
  }
}
