internal import CheckpointTraining
internal import CommandLineTool

extension TrainOptions {
  /// Reads what is to happen when something is wrong: with the state, the disk, or a checkpoint.
  mutating func readSafety(_ parser: OptionParser) throws(UsageError) {
    if parser.has("health_check") { health = .finite + .noSpike(of: "loss", above: 3) }
    if parser.has("set_aside_damaged") { damaged = .setAside }
    initialCheckpoint = parser.string("init_from")
    if parser.has("validate_resume") {
      validationTolerance =
        try parser.number("validate_resume", as: Double.self, in: 0...1e9) ?? 0
    }
    switch parser.string("space_check") ?? "warn" {
    case "warn": space.preflight = .warn
    case "refuse": space.preflight = .refuse
    case "off": space.preflight = .off
    case let word: throw UsageError("--space_check is warn, refuse or off, not '\(word)'.")
    }
    switch parser.string("on_full_disk") ?? "go-on" {
    case "go-on", "go_on": break
    case "stop": onSaveFailure = .stop
    case "wait": space.whenFull = .wait(every: .seconds(10), atMost: .seconds(3600))
    case let word: throw UsageError("--on_full_disk is go-on, wait or stop, not '\(word)'.")
    }
  }
}
