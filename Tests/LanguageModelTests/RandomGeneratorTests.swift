import LanguageModel
import Testing

@Suite("Random generator")
struct RandomGeneratorTests {
  @Test func wordsPutBackContinueTheSequence() throws {
    var generator = RandomGenerator(seed: 42)
    for _ in 0..<10 { _ = generator.next() }
    var restored = try #require(RandomGenerator(words: generator.words))
    #expect((0..<100).allSatisfy { _ in generator.next() == restored.next() })
  }

  @Test func knownStateGivesThePublishedSequence() throws {
    var generator = try #require(RandomGenerator(words: [1, 2, 3, 4]))
    let expected: [UInt64] = [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]
    #expect((0..<4).map { _ in generator.next() } == expected)
  }

  @Test func seedsAndStreamsDiffer() {
    let words = (0..<20).flatMap { seed in
      (0..<20).map { stream in
        RandomGenerator(seed: seed, stream: stream).words
      }
    }
    #expect(Set(words).count == 400)
  }

  @Test func bellShapedNumbersHaveUnitVariance() {
    var generator = RandomGenerator(seed: 1)
    let numbers = (0..<100_000).map { _ in Double(generator.bellShaped()) }
    let mean = numbers.reduce(0, +) / 100_000
    let variance = numbers.reduce(0) { $0 + $1 * $1 } / 100_000
    #expect(abs(mean) < 0.01)
    #expect(abs(variance - 1) < 0.02)
  }

  @Test func boundedNumbersReachEveryValueEquallyOften() {
    var generator = RandomGenerator(seed: 1)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[generator.number(below: 7)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
  }
}
