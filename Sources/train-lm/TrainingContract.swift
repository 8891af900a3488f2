internal import CheckpointTraining
internal import LanguageModel

extension ResumeContract {
  /// What decides a run of train-lm besides its state.
  ///
  /// The seed chooses the initial parameters and the order of the data, which a run that goes on has
  /// already; with another one it would be neither the old run nor the one that was asked for.
  static func trainLM(_ options: TrainOptions, _ trainer: Trainer) throws -> ResumeContract {
    var contract = ResumeContract()
    try contract.stateArguments(
      options.configuration,
      grades: [
        "n_layer": .refuse, "n_head": .refuse, "n_embd": .refuse, "block_size": .refuse,
        "tied_head": .refuse, "seed": .refuse,
      ])
    contract.state("data", trainer.dataFingerprint, ifDifferent: .refuse)
    contract.state("random_generator", "xoshiro256**", ifDifferent: .refuse)
    // Any number of threads gives the same bits.
    contract.state("threads", "\(options.configuration.threads)", ifDifferent: .harmless)
    if options.configuration.scheduleSteps == nil {
      contract.takeFromCheckpoint("schedule_steps")
    } else {
      contract.stateSchedule(of: trainer)
    }
    for (name, value) in options.habits { contract.state(name, value, ifDifferent: .harmless) }
    return contract
  }

  /// States how many steps the learning rate takes to its minimum.
  mutating func stateSchedule(of trainer: Trainer) {
    guard let steps = trainer.configuration.scheduleSteps else { return }
    state("schedule_steps", "\(steps)", ifDifferent: .changesTrajectory)
  }
}
