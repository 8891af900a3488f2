internal import CheckpointTraining
internal import CommandLineTool

/// The command line of train-lm.
enum TrainCommand {
  static func main() -> Never {
    CommandLineProgram(
      name: "train-lm", version: StoreOptions.libraryVersion, help: TrainOptions.help,
      kinds: TrainOptions.kinds
    ).main(run)
  }

  private static func run(_ words: OptionParser) throws(UsageError) -> ExitStatus {
    let options = try TrainOptions(words)
    var isComplete = true
    do {
      if options.isDryRun {
        try DryRun.run(options)
      } else {
        var run = try TrainingRun(options)
        isComplete = try run.run()
      }
    } catch {
      StandardStreams.writeError("train-lm: \(error)")
      if let hint = hint(error, options) { StandardStreams.writeError(hint) }
      return .failure
    }
    // Events that nobody got must not pass for a run that was reported.
    if StandardStreams.hasOutputFailed { return .failure }
    return isComplete ? .success : .resumable
  }

  /// What to type next, where the library can only say what to call.
  private static func hint(_ error: any Error, _ options: TrainOptions) -> String? {
    let place = (error as? CheckpointError)?.location?.path
    if let path = options.initialCheckpoint, let place,
      place == path || place.hasPrefix(path + "/")
    {
      return "--init_from needs an intact checkpoint of a model of the same shape."
    }
    return switch (error as? CheckpointError)?.code {
    case .notEmpty:
      "Add --resume_from_checkpoint to go on, or --overwrite_output_dir to begin afresh."
    case .unsupported, .unreadable, .ambiguous:
      "Add --resume_from_checkpoint STEP or PATH to go on from another checkpoint deliberately."
    case .noIntactCheckpoint:
      "Add --resume_from_checkpoint never to begin afresh; the files stay until a new save."
    case .incompatibleState:
      "Give the same arguments and data, or add --overwrite_output_dir to begin afresh."
    case .busy: "Add --lock_timeout SECONDS to wait for it."
    default: nil
    }
  }
}
