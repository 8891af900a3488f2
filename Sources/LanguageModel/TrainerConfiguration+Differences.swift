extension TrainerConfiguration {
  /// What differs from `other` and changes the trajectory, as `name: saved → current`.
  ///
  /// - Parameter saved: The arguments in a checkpoint.
  /// - Returns: One entry for each difference, in a fixed order.
  package func differences(from saved: TrainerConfiguration) -> [String] {
    let pairs: [(CodingKeys, any CustomStringConvertible, any CustomStringConvertible)] = [
      (.seed, saved.seed, seed), (.batchSize, saved.batchSize, batchSize),
      (
        .gradientAccumulationSteps, saved.gradientAccumulationSteps, gradientAccumulationSteps
      ),
      (.blockSize, saved.blockSize, blockSize), (.learningRate, saved.learningRate, learningRate),
      (.minimumLearningRate, saved.minimumLearningRate, minimumLearningRate),
      (.warmupSteps, saved.warmupSteps, warmupSteps), (.maxSteps, saved.maxSteps, maxSteps),
      (.dropout, saved.dropout, dropout), (.weightDecay, saved.weightDecay, weightDecay),
      (.beta1, saved.beta1, beta1), (.beta2, saved.beta2, beta2),
      (.epsilon, saved.epsilon, epsilon), (.gradientClip, saved.gradientClip, gradientClip),
    ]
    return pairs.compactMap { key, old, new in
      old.description == new.description ? nil : "\(key.rawValue): \(old) → \(new)"
    }
  }
}
