import LanguageModel
import Testing

@Suite("Configuration")
struct ConfigurationTests {
  @Test func theDefaultsAreValid() throws {
    try TrainerConfiguration().validate()
  }

  @Test func learningRateRisesThenFollowsHalfACosine() throws {
    let configuration = try TrainerConfiguration {
      $0.learningRate = 1
      $0.minimumLearningRate = 0.1
      $0.warmupSteps = 10
      $0.maxSteps = 110
    }
    #expect(configuration.learningRate(at: 1) == 0.1)
    #expect(configuration.learningRate(at: 5) == 0.5)
    #expect(configuration.learningRate(at: 10) == 1)
    #expect(abs(configuration.learningRate(at: 35) - (0.1 + 0.9 * 0.853_553_4)) < 1e-6)
    #expect(abs(configuration.learningRate(at: 60) - 0.55) < 1e-6)
    #expect(configuration.learningRate(at: 110) == 0.1)
    #expect(configuration.learningRate(at: 500) == 0.1)
  }

  @Test func withoutWarmUpTheFirstRateIsNearTheHighest() throws {
    let configuration = try TrainerConfiguration {
      $0.warmupSteps = 0
      $0.maxSteps = 1000
    }
    #expect(configuration.learningRate(at: 1) > 0.999 * configuration.learningRate)
  }

  @Test func impossibleValuesAreNamed() {
    func property(_ change: (inout TrainerConfiguration) -> Void) -> String? {
      do {
        _ = try TrainerConfiguration(change)
        return nil
      } catch {
        return error.property
      }
    }
    #expect(property { $0.batchSize = 0 } == "batch_size")
    #expect(property { $0.embeddingSize = 20 } == "n_embd")
    #expect(property { $0.headCount = 3 } == "n_embd")
    #expect(property { $0.dropout = 1 } == "dropout")
    #expect(property { $0.dropout = .nan } == "dropout")
    #expect(property { $0.learningRate = 0 } == "learning_rate")
    #expect(property { $0.minimumLearningRate = 1 } == "min_learning_rate")
    #expect(property { $0.gradientClip = .infinity } == "max_grad_norm")
    #expect(property { $0.threads = -1 } == "threads")
    #expect(property { $0.seed = 9 } == nil)
  }
}
