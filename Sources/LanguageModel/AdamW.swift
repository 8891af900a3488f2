/// The AdamW update: Adam with weight decay apart from the gradient.
struct AdamW {
  private let configuration: TrainerConfiguration
  private let learningRate: Float
  private let correction1, correction2: Float
  private let gradientScale: Float

  /// Prepares the update of a step.
  ///
  /// - Parameters:
  ///   - configuration: the hyper-parameters.
  ///   - step: counted from 1.
  ///   - gradients: of all parameters; a norm beyond the clip is scaled down.
  init(_ configuration: TrainerConfiguration, step: Int, gradients: [[Float]]) {
    self.configuration = configuration
    learningRate = configuration.learningRate(at: step)
    correction1 = Float(1 / (1 - ExactMath.power(Double(configuration.beta1), step)))
    correction2 = Float(1 / (1 - ExactMath.power(Double(configuration.beta2), step)))
    let norm = Float(Self.norm(gradients))
    gradientScale = norm > configuration.gradientClip ? configuration.gradientClip / norm : 1
  }

  /// Updates one parameter and its moments.
  func update(
    _ parameter: inout Parameter, gradient: [Float], first: inout [Float], second: inout [Float]
  ) {
    let count = gradient.count
    precondition(
      parameter.values.count == count && first.count == count && second.count == count,
      "The moments do not fit the parameter.")
    let (beta1, beta2) = (configuration.beta1, configuration.beta2)
    let isMatrix = parameter.shape.count > 1
    let keep = isMatrix ? 1 - learningRate * configuration.weightDecay : 1
    let gradients = gradient.span
    var values = parameter.values.mutableSpan
    var means = first.mutableSpan
    var squares = second.mutableSpan
    for index in 0..<count {
      let g = gradients[index] * gradientScale
      let mean = means[index] * beta1 + g * (1 - beta1)
      let square = squares[index] * beta2 + g * g * (1 - beta2)
      means[index] = mean
      squares[index] = square
      let root = (square * correction2).squareRoot() + configuration.epsilon
      values[index] = values[index] * keep - learningRate * (mean * correction1) / root
    }
  }

  /// The norm of all gradients, summed in the order of the elements.
  static func norm(_ gradients: [[Float]]) -> Double {
    var total = 0.0
    for gradient in gradients {
      var sums = SIMD4<Double>.zero
      let elements = gradient.span
      let wholeCount = elements.count / 4 * 4
      for index in stride(from: 0, to: wholeCount, by: 4) {
        let four = SIMD4<Double>(
          Double(elements[index]), Double(elements[index + 1]), Double(elements[index + 2]),
          Double(elements[index + 3]))
        sums += four * four
      }
      for index in wholeCount..<elements.count {
        sums[index - wholeCount] += Double(elements[index]) * Double(elements[index])
      }
      total += (sums[0] + sums[1]) + (sums[2] + sums[3])
    }
    return total.squareRoot()
  }
}
