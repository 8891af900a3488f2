import CheckpointStorage
import CommandLineTool
import FaultSuites
import Foundation

// What a shell needs of the fault suites: run them all, soak, replay a seed, and mutate.

private let help = """
  usage: fault-suites COMMAND [options]

  Runs the library against a simulated disk that fails in every way that a disk may.

    run [SUITE…]         every suite, or those named: rules damage repeat crash compound failures
    soak                 random scenarios with fresh seeds, until the time is up
      --seconds N        how long (default 60)
      --seed N           the first seed (default: random)
      --jobs N           threads (default: one per processor)
    replay SEED          one seed of a soak again
    mutate [NAME…]       takes each protection away; every one must turn a suite red
                         (all of them need a build with --traits Mutants)
    naive                how writers without fsync fare in the same crashes

  Exit status: 0 nothing wrong, 1 violations (or a mutation that nobody noticed), 64 usage.

  """

@main
struct FaultSuitesCommand {
  static func main() {
    CommandLineProgram(
      name: "fault-suites", version: "of this checkout", help: help,
      kinds: ["seconds": .value, "seed": .value, "jobs": .value]
    ).main(run)
  }

  nonisolated private static func run(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    let words = options.positionals
    let names = Array(words.dropFirst())
    switch words.first {
    case "run":
      try require(names, among: Suites.all.map(\.name), "suite")
      return SuiteRun(names: names).run()
    case "soak":
      try require(names, among: [], "argument")
      return SoakRun(
        seconds: try options.integer("seconds", in: 1...(1 << 40)) ?? 60,
        seed: try options.integer("seed", in: 0...UInt64.max) ?? UInt64.random(in: 0 ... .max >> 1),
        jobs: try options.integer("jobs", in: 1...256) ?? ProcessInfo.processInfo.processorCount
      ).run()
    case "replay":
      guard words.count == 2, let seed = UInt64(words[1]) else {
        throw UsageError("'replay' needs the number of one seed")
      }
      return report([Soak.run(seed: seed)], since: Date())
    case "mutate":
      try require(names, among: Mutation.all.map(\.name), "mutation of this build")
      return MutationRun(names: names).run()
    case "naive":
      try require(names, among: [], "argument")
      return naive()
    default: throw UsageError("name what to do: run, soak, replay, mutate or naive")
    }
  }

  /// A name that means nothing must not pass for a suite that found nothing.
  nonisolated private static func require(
    _ names: [String], among known: [String], _ what: String
  ) throws(UsageError) {
    guard let unknown = names.first(where: { !known.contains($0) }) else { return }
    throw UsageError("'\(unknown)' is no \(what).")
  }

  nonisolated private static func naive() -> ExitStatus {
    var isBlind = false
    for habit in NaiveWriter.Habit.allCases {
      guard let losses = try? NaiveWriter.run(habit, Harness()) else { return .failure }
      isBlind = isBlind || losses.lostCount == 0
      StandardStreams.writeOutput(
        "\(habit.sentence): \(losses.stateCount) states; the acknowledged checkpoint is lost in "
          + "\(losses.lostCount), a torn file has its name in \(losses.tornCount)")
    }
    return isBlind ? .failure : .success
  }
}

/// Prints what suites found.
func report(_ results: [SuiteResult], since start: Date) -> ExitStatus {
  for result in results {
    for violation in result.violations {
      StandardStreams.writeOutput("VIOLATION \(result.name): \(violation)")
    }
  }
  let cases = results.reduce(0) { $0 + $1.caseCount }
  let states = results.reduce(0) { $0 + $1.stateCount }
  let violations = results.reduce(0) { $0 + $1.violations.count }
  let seconds = Date().timeIntervalSince(start)
  StandardStreams.writeOutput(
    "\(cases) cases, \(states) states, \(violations) violations, "
      + "\(seconds.formatted(.number.precision(.fractionLength(1)))) s")
  return violations == 0 ? .success : .failure
}

/// Runs every suite, several at once.
struct SuiteRun {
  /// The suites to run; none for all.
  var names: [String]

  func run() -> ExitStatus {
    let start = Date()
    let tasks = Suites.all.filter { names.isEmpty || names.contains($0.name) }
    let results = Protected<[String: SuiteResult]>([:])
    DispatchQueue.concurrentPerform(iterations: tasks.count) { index in
      let start = Date()
      let result = tasks[index].body(Harness(stopsAtFirst: false))
      StandardStreams.writeError(
        "\(result.name) \(index + 1) of \(tasks.count): \(result.caseCount) cases, "
          + "\(result.stateCount) states, \(Int(Date().timeIntervalSince(start) * 1000)) ms")
      results.withLock {
        $0[tasks[index].name, default: SuiteResult(tasks[index].name)].add(result)
      }
    }
    let found = results.withLock { $0.values.sorted { $0.name < $1.name } }
    for result in found {
      StandardStreams.writeOutput(
        "\(result.name): \(result.caseCount) cases, \(result.stateCount) states, "
          + "\(result.violations.count) violations")
    }
    return report(found, since: start)
  }
}

/// Goes through seeds until the time is up.
struct SoakRun {
  var seconds: UInt64
  var seed: UInt64
  var jobs: Int

  private struct Progress {
    var next: UInt64
    var total = SuiteResult(Soak.name)
    var isReporting = Date()
  }

  func run() -> ExitStatus {
    let start = Date()
    let end = start.addingTimeInterval(Double(seconds))
    let progress = Protected(Progress(next: seed))
    StandardStreams.writeOutput("soak: \(seconds) s from seed \(seed), \(jobs) threads")
    DispatchQueue.concurrentPerform(iterations: jobs) { _ in
      while Date() < end {
        let seed = progress.withLock { progress -> UInt64 in
          defer { progress.next &+= 1 }
          return progress.next
        }
        let result = Soak.run(seed: seed)
        progress.withLock { note(result, seed, &$0, since: start) }
      }
    }
    let total = progress.withLock { $0.total }
    let status = report([total], since: start)
    StandardStreams.writeOutput(
      "seeds \(seed) to \(progress.withLock { $0.next } &- 1); replay one with: "
        + "fault-suites replay SEED")
    return status
  }

  private func note(
    _ result: SuiteResult, _ seed: UInt64, _ progress: inout Progress, since start: Date
  ) {
    progress.total.add(result)
    for violation in result.violations {
      StandardStreams.writeOutput("VIOLATION \(violation)\n  replay: fault-suites replay \(seed)")
    }
    guard Date().timeIntervalSince(progress.isReporting) >= 10 else { return }
    progress.isReporting = Date()
    let rate = Double(progress.total.stateCount) / Date().timeIntervalSince(start)
    StandardStreams.writeOutput(
      "\(progress.total.stateCount) states, \(Int(rate)) a second, "
        + "\(progress.total.violations.count) violations")
  }
}

/// Takes the protections away one by one.
struct MutationRun {
  var names: [String]

  func run() -> ExitStatus {
    let start = Date()
    let mutations = Mutation.all.filter { names.isEmpty || names.contains($0.name) }
    var survivors: [Mutation] = []
    for mutation in mutations {
      if let (suite, violation) = mutation.killer() {
        StandardStreams.writeOutput(
          "killed    \(mutation.name) (\(mutation.sentence))\n          by \(suite): \(violation)")
      } else {
        survivors.append(mutation)
        StandardStreams.writeOutput("SURVIVES  \(mutation.name) (\(mutation.sentence))")
      }
    }
    let seconds = Int(Date().timeIntervalSince(start))
    StandardStreams.writeOutput(
      "\(mutations.count) mutations, \(survivors.count) survive, \(seconds) s")
    if !Mutation.holdsMutants {
      StandardStreams.writeOutput(
        "Only the liars between engine and disk: build with --traits Mutants for the others.")
    }
    return survivors.isEmpty ? .success : .failure
  }
}
