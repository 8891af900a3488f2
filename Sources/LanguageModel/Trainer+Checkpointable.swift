package import CheckpointTraining

// Everything that decides the next step, and nothing else: two trainers with the same digest go on
// bit for bit alike, on any number of threads.

extension Trainer: Checkpointable {
  package static let stateVersion = 1

  package func save(to state: inout StateWriter) throws {
    try state.value("step", step)
    try state.codable("arguments", configuration)
    try state.value("data_fingerprint", dataFingerprint)
    for (index, parameter) in parameters.enumerated() {
      try state.tensor("model/" + parameter.name, parameter.values, shape: parameter.shape)
      try state.tensor(
        "optimizer/exp_avg/" + parameter.name, firstMoments[index], shape: parameter.shape)
      try state.tensor(
        "optimizer/exp_avg_sq/" + parameter.name, secondMoments[index], shape: parameter.shape)
    }
    if configuration.tiedHead {
      try state.alias("model/head.weight", of: "model/tok_embd.weight")
    }
    try state.tensor("smoothed_loss", [smoothedLoss], shape: [])
    try state.scope("dropout_generator", generator)
    try state.scope("sampler", sampler)
  }

  package func restore(from state: StateReader) throws {
    try requireSameData(state)
    // What else they decide is compared by the resume contract.
    adoptSchedule(of: try state.codable("arguments"))
    step = try state.value("step")
    for index in parameters.indices {
      let (name, shape) = (parameters[index].name, parameters[index].shape)
      try state.tensor("model/" + name, into: &parameters[index].values, shape: shape)
      try state.tensor("optimizer/exp_avg/" + name, into: &firstMoments[index], shape: shape)
      try state.tensor("optimizer/exp_avg_sq/" + name, into: &secondMoments[index], shape: shape)
    }
    var smoothed = [smoothedLoss]
    try state.tensor("smoothed_loss", into: &smoothed, shape: [])
    smoothedLoss = smoothed[0]
    try state.scope("dropout_generator", &generator)
    try state.scope("sampler", &sampler)
  }

  /// A run that goes on with other data would neither be the old run nor a new one.
  private func requireSameData(_ state: StateReader) throws {
    let saved = try state.value("data_fingerprint", as: String.self)
    guard saved == dataFingerprint else {
      throw CheckpointError(
        .incompatibleState,
        "The data is not the data that the checkpoint was trained on: its fingerprint was "
          + "\(saved.prefix(16))…, and is \(dataFingerprint.prefix(16))… (text, split, block size "
          + "and seed). Give the same --data, --block_size and --seed, or begin a fresh run.")
    }
  }
}

extension RandomGenerator: Checkpointable {
  package func save(to state: inout StateWriter) throws {
    try state.tensor("words", words)
  }

  package mutating func restore(from state: StateReader) throws {
    guard let restored = RandomGenerator(words: try state.tensor("words")) else {
      throw CheckpointError(
        .incompatibleState, "The saved words are no state of the random generator.")
    }
    self = restored
  }
}

extension BatchSampler: Checkpointable {
  package func save(to state: inout StateWriter) throws {
    try state.value("epoch", self.state.epoch)
    try state.value("consumed_windows", self.state.consumedCount)
    try state.tensor("epoch_words", self.state.epochWords)
  }

  package mutating func restore(from state: StateReader) throws {
    let position = State(
      epoch: try state.value("epoch"), consumedCount: try state.value("consumed_windows"),
      epochWords: try state.tensor("epoch_words"))
    guard let restored = continued(from: position) else {
      throw CheckpointError(.incompatibleState, "The saved position is not one in this data.")
    }
    self = restored
  }
}
