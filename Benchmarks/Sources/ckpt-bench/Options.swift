/// What the command line asks for.
struct Options {
  var command = ""
  var directory = ""
  var state = "gpt2-adam-fp32"
  /// Nil: as large as the memory allows, at most 1.
  var scale: Double?
  var seed = 1
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
    }
    command = positionals.first ?? ""
    guard let needsDirectory = commands[command] else {
      throw Misuse(message: command.isEmpty ? "no case was given" : "there is no case \(command)")
    }
    guard positionals.count == (needsDirectory ? 2 : 1) else {
      throw Misuse(message: "\(command) takes \(needsDirectory ? "one directory" : "no directory")")
    }
    if needsDirectory { directory = positionals[1] }
  }

  private static let names: Set<String> = [
    "--state", "--scale", "--seed", "--blocks", "--compression", "--threads",
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

  /// The workload that was asked for.
  ///
  /// Where no scale was given, the state takes at most a sixth of the memory that is available: a case
  /// holds it twice, and its files must stay in the page cache beside it.
  func workload() -> Workload {
    guard var result = Workload.named(state, seed: seed, scale: scale ?? 1) else {
      Benchmark.fail("there is no state \(state)", status: 64)
    }
    if scale == nil, let available = Machine.availableByteCount {
      let share = Double(available) / 6 / Double(result.byteCount)
      if share < 1, let smaller = Workload.named(state, seed: seed, scale: max(share, 0.001)) {
        result = smaller
      }
    }
    return result
  }
}
