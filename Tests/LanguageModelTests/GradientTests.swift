import LanguageModel
import Testing

@Suite("Gradients")
struct GradientTests {
  // Goal: the hand-written backward pass is the gradient of the forward pass, for every tensor.
  // Method: move one tensor along a direction, both ways, and compare the change of the loss with
  // what the gradient predicts. Sampler and generator are put back before each evaluation, so that
  // batch and dropout masks stay fixed.

  private struct Probe {
    let trainer: Trainer
    let sampler: BatchSampler
    let generator: RandomGenerator
    let gradients: [[Float]]

    init(tiedHead: Bool) throws {
      trainer = try SampleText.trainer {
        $0.tiedHead = tiedHead
        $0.gradientAccumulationSteps = 2
        $0.blockSize = 37
      }
      // A few steps move the parameters away from zeros, where errors could hide.
      for _ in 0..<8 { _ = trainer.trainStep() }
      sampler = trainer.sampler
      generator = trainer.generator
      gradients = trainer.nextGradients().gradients
    }

    func loss(moving index: Int, by distance: Float, along direction: [Float]) -> Double {
      let saved = trainer.parameters[index].values
      defer { trainer.parameters[index].values = saved }
      for element in saved.indices {
        trainer.parameters[index].values[element] += distance * direction[element]
      }
      trainer.sampler = sampler
      trainer.generator = generator
      return trainer.nextGradients().loss
    }

    func slope(of index: Int, along direction: [Float], distance: Float) -> Double {
      let ahead = loss(moving: index, by: distance, along: direction)
      let behind = loss(moving: index, by: -distance, along: direction)
      return (ahead - behind) / Double(2 * distance)
    }
  }

  @Test(arguments: [true, false])
  func everyTensorHasItsGradient(tiedHead: Bool) throws {
    let probe = try Probe(tiedHead: tiedHead)
    var generator = RandomGenerator(seed: 3)
    for (index, parameter) in probe.trainer.parameters.enumerated() {
      let gradient = probe.gradients[index]
      let norm = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(norm > 0, "\(parameter.name) has no gradient")
      // Half along the gradient, where the signal is large, half at random, where a wrong part
      // cannot hide.
      let noise = gradient.map { _ in generator.bellShaped() }
      let noiseNorm = noise.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      let direction = gradient.indices.map {
        Float(Double(gradient[$0]) / norm + Double(noise[$0]) / noiseNorm)
      }
      let expected = gradient.indices.reduce(0.0) {
        $0 + Double(gradient[$1]) * Double(direction[$1])
      }
      let measured = probe.slope(of: index, along: direction, distance: 0.01)
      let difference = abs(measured - expected) / max(abs(expected), norm)
      #expect(difference < 0.01, "\(parameter.name): \(measured), expected \(expected)")
    }
  }
}
