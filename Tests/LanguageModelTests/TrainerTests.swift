import LanguageModel
import Testing

@Suite("Trainer")
struct TrainerTests {
  /// The whole state as bits, for comparisons that tell -0 from 0.
  private func bits(_ trainer: Trainer) -> [[UInt32]] {
    trainer.parameters.map { $0.values.map(\.bitPattern) }
      + trainer.firstMoments.map { $0.map(\.bitPattern) }
      + trainer.secondMoments.map { $0.map(\.bitPattern) }
      + [[trainer.smoothedLoss.bitPattern]]
  }

  @Test func sameBitsForAnyNumberOfThreads() throws {
    let results = try [1, 2, 7].map { threads in
      let trainer = try SampleText.trainer {
        $0.threads = threads
        $0.batchSize = 5
        $0.gradientAccumulationSteps = 2
      }
      let losses = (0..<6).map { _ in trainer.trainStep().loss }
      return (losses, trainer.evaluate(), bits(trainer))
    }
    for result in results.dropFirst() {
      #expect(result.0 == results[0].0)
      #expect(result.1 == results[0].1)
      #expect(result.2 == results[0].2)
    }
  }

  @Test func stateCopiedMidRunContinuesBitForBit() throws {
    let original = try SampleText.trainer()
    for _ in 0..<7 { _ = original.trainStep() }
    let copy = try SampleText.trainer()
    copy.step = original.step
    copy.parameters = original.parameters
    copy.firstMoments = original.firstMoments
    copy.secondMoments = original.secondMoments
    copy.smoothedLoss = original.smoothedLoss
    copy.sampler = try #require(copy.sampler.continued(from: original.sampler.state))
    copy.generator = try #require(RandomGenerator(words: original.generator.words))
    for _ in 0..<9 { #expect(original.trainStep() == copy.trainStep()) }
    #expect(bits(original) == bits(copy))
    #expect(original.sampler.state == copy.sampler.state)
    #expect(original.generator == copy.generator)
  }

  @Test func evaluationChangesNoState() throws {
    let plain = try SampleText.trainer()
    let evaluated = try SampleText.trainer()
    for _ in 0..<3 {
      #expect(evaluated.evaluate(batches: 1) == evaluated.evaluate(batches: 1))
      #expect(plain.trainStep() == evaluated.trainStep())
    }
    #expect(bits(plain) == bits(evaluated))
  }

  @Test func accumulationEqualsOneLargerBatch() throws {
    func losses(batchSize: Int, parts: Int) throws -> [Float] {
      let trainer = try SampleText.trainer {
        $0.dropout = 0
        $0.batchSize = batchSize
        $0.gradientAccumulationSteps = parts
      }
      return (0..<5).map { _ in trainer.trainStep().loss }
    }
    for (one, two) in zip(try losses(batchSize: 8, parts: 1), try losses(batchSize: 4, parts: 2)) {
      #expect(abs(one - two) < 1e-4)
    }
  }

  @Test(arguments: [true, false])
  func learnsFarBelowTheUnigramEntropy(tiedHead: Bool) throws {
    let trainer = try SampleText.trainer {
      $0.tiedHead = tiedHead
      $0.maxSteps = 250
      $0.dropout = 0.02
      $0.learningRate = 0.01
    }
    #expect(trainer.evaluate() > 2.5)
    for _ in 0..<250 { _ = trainer.trainStep() }
    let entropy = Float(trainer.corpus.unigramEntropy)
    #expect(trainer.evaluate() < 0.4 * entropy, "entropy \(entropy)")
  }

  @Test func textShorterThanNeededIsRefused() throws {
    let corpus = try Corpus(text: String(repeating: "ab", count: 100))
    let configuration = try SampleText.configuration()
    #expect(throws: CorpusError.tooShort(characterCount: 200, needed: 220)) {
      try Trainer(configuration: configuration, corpus: corpus)
    }
    let enough = try Corpus(text: String(repeating: "ab", count: 110))
    let trainer = try Trainer(configuration: configuration, corpus: enough)
    #expect(trainer.trainStep().loss.isFinite)
  }

  @Test func fingerprintTellsTextOrderAndSplitApart() throws {
    let trainer = try SampleText.trainer()
    #expect(trainer.dataFingerprint == (try SampleText.trainer().dataFingerprint))
    #expect(trainer.dataFingerprint != (try SampleText.trainer { $0.seed = 2 }.dataFingerprint))
    #expect(
      trainer.dataFingerprint != (try SampleText.trainer { $0.blockSize = 22 }.dataFingerprint))
    let changed = try Corpus(text: "x" + SampleText.sentences.dropFirst())
    #expect(changed.fingerprint(order: "") != trainer.corpus.fingerprint(order: ""))
  }
}
