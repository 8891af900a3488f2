import Foundation

/// What a run of a tool's real binary left.
struct ToolResult {
  /// The exit status, or the number of the signal that ended it, negated.
  var status: Int32
  var output: String
  var error: String
  var seconds: Double

  var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// Runs binaries that were built with the tests.
enum ToolProcess {
  struct TimedOut: Error {}

  /// The path of a product: they lie beside the test executable.
  static func path(of product: String) throws -> String {
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(fileURLWithPath: executable).deletingLastPathComponent()
      .appendingPathComponent(product).path
  }

  /// Runs ckpt-verify.
  static func verify(_ arguments: [String]) throws -> ToolResult {
    try run([path(of: "ckpt-verify")] + arguments)
  }

  /// Runs a shell script, whose `$0` is ckpt-verify, with arguments.
  static func shell(_ script: String, _ arguments: [String]) throws -> ToolResult {
    try run(["/bin/sh", "-c", script, path(of: "ckpt-verify")] + arguments)
  }

  /// Runs a program to its end; kills it after a minute.
  static func run(_ command: [String]) throws -> ToolResult {
    try withTemporaryDirectory { directory in
      // Into files, since a pipe that nobody empties would stop the program.
      let streams = try ["output", "error"].map { name in
        let path = directory + "/" + name
        try Data().write(to: URL(fileURLWithPath: path))
        return (path, try FileHandle(forWritingTo: URL(fileURLWithPath: path)))
      }
      let process = Process()
      process.executableURL = URL(fileURLWithPath: command[0])
      process.arguments = Array(command.dropFirst())
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = streams[0].1
      process.standardError = streams[1].1
      let start = ContinuousClock.now
      try process.run()
      while process.isRunning {
        Thread.sleep(forTimeInterval: 0.002)
        if ContinuousClock.now - start > .seconds(60) {
          kill(process.processIdentifier, SIGKILL)
          throw TimedOut()
        }
      }
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      let texts = try streams.map { path, _ in
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
      }
      return ToolResult(
        status: process.terminationReason == .exit
          ? process.terminationStatus : -process.terminationStatus,
        output: texts[0], error: texts[1], seconds: seconds)
    }
  }
}

/// Calls `body` with the path of a fresh directory, which is gone afterwards.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  let path = NSTemporaryDirectory() + "checkpoint-tools-" + UUID().uuidString
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: path) }  // best effort
  return try body(path)
}
