extension TrainerConfiguration {
  /// The learning rate of a step: a linear warm-up, then half a cosine down to the minimum.
  ///
  /// - Parameter step: counted from 1.
  /// - Returns: the rate; the minimum after the last step.
  package func learningRate(at step: Int) -> Float {
    if step <= warmupSteps { return learningRate * Float(step) / Float(warmupSteps) }
    guard step < maxSteps else { return minimumLearningRate }
    let progress = Double(step - warmupSteps) / Double(maxSteps - warmupSteps)
    let share = Float(0.5 + 0.5 * ExactMath.cosineOfPi(times: progress))
    return minimumLearningRate + (learningRate - minimumLearningRate) * share
  }
}
