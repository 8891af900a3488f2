extension TrainerConfiguration {
  /// The learning rate of a step: a linear warm-up, then half a cosine down to the minimum.
  ///
  /// - Parameter step: counted from 1.
  /// - Returns: the rate; the minimum after the last step of the schedule.
  package func learningRate(at step: Int) -> Float {
    if step <= warmupSteps { return learningRate * Float(step) / Float(warmupSteps) }
    let lastStep = scheduleSteps ?? maxSteps
    guard step < lastStep else { return minimumLearningRate }
    let progress = Double(step - warmupSteps) / Double(lastStep - warmupSteps)
    let share = Float(0.5 + 0.5 * ExactMath.cosineOfPi(times: progress))
    return minimumLearningRate + (learningRate - minimumLearningRate) * share
  }
}
