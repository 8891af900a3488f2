/// What the command line asks for.
struct Options {
  var command = ""
  var directory = ""
  var state = "gpt2-adam-fp32"
  /// Nil: as large as the memory allows, at most 1.
  var scale: Double?
  var seed = 1
  /// A file whose tensors are the state, instead of a generated one.
  var checkpoint: String?
  /// How often the state has each of them.
  var copyCount = 1
  /// Of the sizes to measure, in MiB; nil: as large as the machine allows.
  var largest: Int?
  var blockCount = 15
  /// Names of compressions; the first is measured twice, as a control.
  var compressions = ["none", "always"]
  /// Nil: as many as the library takes by itself.
  var threads: Int?
  var printsJSON = false

  /// A command line that cannot be understood, and why.
  struct Misuse: Error { let message: String }

  /// - Parameters:
  ///   - words: What was typed, without the program's name.
  ///   - commands: The commands there are, and whether each needs a directory.
  /// - Throws: ``Misuse``.
  init(_ words: [String], commands: [String: Bool]) throws(Misuse) {
    var positionals: [String] = []
    var given: Set<String> = []
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        positionals.append(word)
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
      if parts[0] == "--json", parts.count == 1 {
        printsJSON = true
        continue
      }
      guard Self.names.contains(parts[0]) else { throw Misuse(message: "unknown option \(word)") }
      guard let value = parts.count > 1 ? parts[1] : rest.popFirst() else {
        throw Misuse(message: "\(word) needs a value")
      }
      try set(parts[0], value)
      given.insert(parts[0])
    }
    command = positionals.first ?? ""
    guard let needsDirectory = commands[command] else {
      throw Misuse(message: command.isEmpty ? "no case was given" : "there is no case \(command)")
    }
    guard positionals.count == (needsDirectory ? 2 : 1) else {
      throw Misuse(message: "\(command) takes \(needsDirectory ? "one directory" : "no directory")")
    }
    if needsDirectory { directory = positionals[1] }
    try check(given)
  }

  /// Refuses options that the case does not have, or that exclude one another.
  private func check(_ given: Set<String>) throws(Misuse) {
    if checkpoint == nil, given.contains("--repeat") {
      throw Misuse(message: "--repeat repeats the tensors of a --checkpoint")
    }
    if checkpoint != nil {
      guard ["save", "load", "verify", "codec", "state"].contains(command) else {
        throw Misuse(message: "\(command) takes no --checkpoint")
      }
      for name in ["--state", "--scale"] where given.contains(name) {
        throw Misuse(message: "\(name) is for a state that is generated; --checkpoint reads one")
      }
    }
    if command == "sizes", given.contains("--scale") {
      throw Misuse(message: "sizes takes no --scale: it measures several sizes; see --largest")
    }
    if command != "sizes", largest != nil {
      throw Misuse(message: "\(command) takes no --largest")
    }
  }

  private static let names: Set<String> = [
    "--state", "--scale", "--seed", "--checkpoint", "--repeat", "--largest", "--blocks",
    "--compression", "--threads",
  ]

  private mutating func set(_ name: String, _ value: String) throws(Misuse) {
    switch name {
    case "--state":
      guard Workload.names.contains(value) else {
        throw Misuse(message: "--state is one of \(Workload.names.joined(separator: ", "))")
      }
      state = value
    case "--scale":
      guard let number = Double(value), number > 0, number <= 16 else {
        throw Misuse(message: "--scale is a number above 0 and at most 16")
      }
      scale = number
    case "--compression":
      guard ["none", "always", "automatic", "both"].contains(value) else {
        throw Misuse(message: "--compression is none, always, automatic or both")
      }
      compressions = value == "both" ? ["none", "always"] : [value]
    case "--checkpoint": checkpoint = value
    case "--repeat": copyCount = try Self.integer(name, value, from: 1)
    // Two sizes at least: one has no slope.
    case "--largest": largest = try Self.integer(name, value, from: 256)
    case "--blocks": blockCount = try Self.integer(name, value, from: 1)
    case "--threads": threads = try Self.integer(name, value, from: 1)
    default: seed = try Self.integer(name, value, from: 0)
    }
  }

  private static func integer(
    _ name: String, _ value: String, from first: Int
  ) throws(Misuse) -> Int {
    guard let number = Int(value), number >= first else {
      throw Misuse(message: "\(name) is a whole number from \(first)")
    }
    return number
  }

  /// The state that was asked for: generated, or read from a checkpoint.
  ///
  /// - Throws: What reading the checkpoint throws.
  func makeState() throws -> WorkloadState {
    guard let checkpoint else { return .generated(workload()) }
    let state = try WorkloadState.read(checkpoint, copies: copyCount)
    let size = state.workload.tensorByteCount
    if command != "state", size < 64 << 20 {
      let count = copyCount * ((100 << 20) / size + 1)
      Benchmark.note(
        "a state of \(Benchmark.rounded(Double(size) / 1e6)) MB is too small to be timed; its "
          + "sizes are exact, and for times there is --repeat \(count)")
    }
    return state
  }

  /// The workload that was asked for.
  ///
  /// Where no scale was given, the state takes at most a sixth of the memory that is available: a case
  /// holds it twice, and its files must stay in the page cache beside it.
  func workload() -> Workload {
    if let scale { return workload(scale: scale) }
    let full = workload(scale: 1)
    guard let available = Machine.availableByteCount else { return full }
    let share = Double(available) / 6 / Double(full.byteCount)
    return share < 1 ? workload(scale: max(share, 0.001)) : full
  }

  /// The workload that was asked for, with about so many bytes.
  func workload(byteCount: Int) -> Workload {
    workload(scale: Double(byteCount) / Double(workload(scale: 1).tensorByteCount))
  }

  private func workload(scale: Double) -> Workload {
    guard let result = Workload.named(state, seed: seed, scale: scale) else {
      Benchmark.fail("there is no state \(state)", status: 64)
    }
    return result
  }
}
