import LanguageModel
import Testing

@Suite("Batch sampler")
struct BatchSamplerTests {
  @Test func positionPutBackContinuesWithTheNextBatch() throws {
    // 12 or 13 windows an epoch: batches of 5 cross the epochs at every phase.
    var sampler = BatchSampler(tokenCount: 107, windowLength: 8, seed: 5)
    for _ in 0..<40 {
      let other = BatchSampler(tokenCount: 107, windowLength: 8, seed: 99)
      var restored = try #require(other.continued(from: sampler.state))
      let batches = (0..<6).map { _ in sampler.next(5) }
      #expect(batches == (0..<6).map { _ in restored.next(5) })
      #expect(restored.state == sampler.state)
      sampler = restored
    }
  }

  @Test func everyEpochHandsOutEachWindowOnce() {
    var sampler = BatchSampler(tokenCount: 107, windowLength: 8, seed: 5)
    var orders: Set<[Int]> = []
    for epoch in 0..<20 {
      var starts: [Int] = []
      repeat { starts += sampler.next(1) } while !isEndOfEpoch(sampler)
      #expect(sampler.state.epoch == epoch)
      let sorted = starts.sorted()
      #expect(sorted.allSatisfy { $0 >= 0 && $0 + 8 < 107 })
      #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $1 - $0 == 8 })
      #expect(starts.count >= 12)
      orders.insert(starts)
    }
    #expect(orders.count == 20)
  }

  private func isEndOfEpoch(_ sampler: BatchSampler) -> Bool {
    var ahead = sampler
    _ = ahead.next(1)
    return ahead.state.epoch > sampler.state.epoch
  }

  @Test func impossibleStatesAreRefused() {
    let sampler = BatchSampler(tokenCount: 107, windowLength: 8, seed: 5)
    let good = sampler.state
    let changes: [(inout BatchSampler.State) -> Void] = [
      { $0.consumedCount = 14 }, { $0.consumedCount = -1 }, { $0.epoch = -1 },
      { $0.epochWords = [1, 2, 3] }, { $0.epochWords = [0, 0, 0, 0] },
    ]
    for (index, change) in changes.enumerated() {
      var state = good
      change(&state)
      #expect(sampler.continued(from: state) == nil, "change \(index)")
    }
  }

  @Test func theShortestTextGivesItsOneWindow() {
    var sampler = BatchSampler(tokenCount: 9, windowLength: 8, seed: 5)
    #expect(sampler.next(3) == [0, 0, 0])
    #expect(sampler.state.epoch == 2)
  }
}
