internal import CheckpointTraining
internal import CommandLineTool

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The program: from the words of the command line to an exit status.
enum TrainCommand {
  nonisolated static func run(_ words: [String]) -> Never {
    // A file-size limit then fails a write with EFBIG, which is reported, instead of killing.
    _ = signal(SIGXFSZ, SIG_IGN)
    exit(status(words).rawValue)
  }

  private static func status(_ words: [String]) -> ExitStatus {
    do {
      switch try TrainOptions.parse(words) {
      case .help: StandardStreams.writeOutput(TrainOptions.help)
      case .version: StandardStreams.writeOutput("train-lm, \(StoreOptions.libraryName)")
      case .train(let options):
        var run = try TrainingRun(options)
        try run.run()
      }
      return .success
    } catch let error as UsageError {
      StandardStreams.writeError("train-lm: \(error.description)\nTry train-lm --help.")
      return .usage
    } catch {
      StandardStreams.writeError("train-lm: \(error)")
      return .failure
    }
  }
}
