internal import CheckpointTraining
internal import CommandLineTool

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The command line of train-lm.
enum TrainCommand {
  static func main() -> Never {
    // A file-size limit then fails a write with EFBIG, which is reported, instead of killing.
    _ = signal(SIGXFSZ, SIG_IGN)
    CommandLineProgram(
      name: "train-lm", version: StoreOptions.libraryVersion, help: TrainOptions.help,
      kinds: TrainOptions.kinds
    ).main(run)
  }

  private static func run(_ words: OptionParser) throws(UsageError) -> ExitStatus {
    let options = try TrainOptions(words)
    do {
      var run = try TrainingRun(options)
      try run.run()
    } catch {
      StandardStreams.writeError("train-lm: \(error)")
      return .failure
    }
    // Events that nobody got must not pass for a run that was reported.
    return StandardStreams.hasOutputFailed ? .failure : .success
  }
}
