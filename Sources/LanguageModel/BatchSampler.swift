// The order of the training windows.
//
// Invariants
//   S1  An epoch is a shuffle of non-overlapping windows, laid from a random first offset. Both
//       are a pure function of the generator's state at the start of the epoch.
//   S2  The state counts windows that were handed out, so putting it back continues with exactly
//       the next one.

/// Hands out training windows in shuffled order, epoch after epoch.
package struct BatchSampler: Sendable {
  /// Everything that decides which windows come next.
  package struct State: Equatable, Sendable {
    /// The number of completed passes over the text.
    package var epoch: Int
    /// The number of windows of this epoch that were consumed.
    package var consumedCount: Int
    /// The generator's four state words at the start of this epoch.
    package var epochWords: [UInt64]

    /// Makes a state from its parts.
    package init(epoch: Int, consumedCount: Int, epochWords: [UInt64]) {
      self.epoch = epoch
      self.consumedCount = consumedCount
      self.epochWords = epochWords
    }
  }

  private let tokenCount: Int
  private let windowLength: Int
  /// The position: what was consumed so far.
  package private(set) var state: State
  private var generator: RandomGenerator
  private var starts: [Int] = []

  /// Starts at the beginning of epoch 0.
  ///
  /// - Parameters:
  ///   - tokenCount: the number of tokens to train on, more than `windowLength`.
  ///   - windowLength: the number of tokens a window predicts.
  ///   - seed: chooses the order.
  /// - Precondition: there is at least one window.
  package init(tokenCount: Int, windowLength: Int, seed: UInt64) {
    precondition(windowLength > 0 && tokenCount > windowLength, "There is no whole window.")
    self.tokenCount = tokenCount
    self.windowLength = windowLength
    generator = RandomGenerator(seed: seed, stream: 1)
    state = State(epoch: 0, consumedCount: 0, epochWords: generator.words)
    shuffle()
  }

  /// The number of epochs of which every window was handed out.
  package var completedEpochs: Int { state.epoch + (state.consumedCount == starts.count ? 1 : 0) }

  /// The next `count` windows.
  ///
  /// - Parameter count: how many; a batch may span epochs.
  /// - Returns: the index of each window's first token.
  package mutating func next(_ count: Int) -> [Int] {
    var batch: [Int] = []
    while batch.count < count {
      if state.consumedCount == starts.count {
        state = State(epoch: state.epoch + 1, consumedCount: 0, epochWords: generator.words)
        shuffle()
      }
      batch.append(starts[state.consumedCount])
      state.consumedCount += 1
    }
    return batch
  }

  /// A sampler of the same text that continues from a state that ``state`` gave.
  ///
  /// - Parameter state: of a sampler made with the same arguments.
  /// - Returns: the sampler; nil if none can be in this state.
  package func continued(from state: State) -> BatchSampler? {
    guard let generator = RandomGenerator(words: state.epochWords), state.epoch >= 0 else {
      return nil
    }
    var restored = self
    restored.state = state
    restored.generator = generator
    restored.shuffle()
    return (0...restored.starts.count).contains(state.consumedCount) ? restored : nil
  }

  /// Draws the windows of an epoch and their order.
  private mutating func shuffle() {
    let slack = tokenCount - 1 - windowLength
    let offset = generator.number(below: min(windowLength, slack + 1))
    starts = (0..<(tokenCount - 1 - offset) / windowLength).map { offset + $0 * windowLength }
    for index in stride(from: starts.count - 1, to: 0, by: -1) {
      starts.swapAt(index, generator.number(below: index + 1))
    }
  }
}
