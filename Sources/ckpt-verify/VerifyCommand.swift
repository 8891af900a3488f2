internal import CheckpointEngine
internal import CommandLineTool

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The program: from the words of the command line to an exit status.
enum VerifyCommand {
  nonisolated static func run(_ words: [String]) -> Never { exit(status(words).rawValue) }

  private static func status(_ words: [String]) -> ExitStatus {
    do throws(UsageError) {
      switch try VerifyOptions.parse(words) {
      case .help: StandardStreams.writeOutput(VerifyOptions.help)
      case .version: StandardStreams.writeOutput("ckpt-verify, \(StoreOptions.libraryName)")
      case .verify(let options):
        var session = VerifySession(options)
        return session.run()
      }
      return .success
    } catch {
      StandardStreams.writeError(
        "ckpt-verify: \(error.description)\nTry ckpt-verify --help.")
      return .usage
    }
  }
}
