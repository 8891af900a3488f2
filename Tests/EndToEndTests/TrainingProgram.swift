import CheckpointEngine
import Foundation
import Testing

/// Runs `train-lm` and `ckpt-verify` as a user does, in a directory of their own.
struct TrainingProgram {
  /// How a program ended, and what it printed.
  struct Result {
    var status: Int32
    var wasKilled: Bool
    var output: String
    var errors: String
    var seconds: Double

    /// The events of a name, in order.
    func events(_ name: String) -> [[String: Any]] {
      output.split(separator: "\n").compactMap { line in
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8))
        return (object as? [String: Any]).flatMap { $0["event"] as? String == name ? $0 : nil }
      }
    }

    /// The digest of the finished run.
    var digest: String? { events("done").first?["state_sha256"] as? String }
  }

  let directory: URL
  var store: String { directory.appending(path: "run").path }

  init() throws {
    // Without symbolic links, as a trace of system calls shows it.
    directory = URL(filePath: NSTemporaryDirectory()).resolvingSymlinksInPath()
      .appending(path: "e2e-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    // Readable by the ordinary user that some tests become.
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o777], ofItemAtPath: directory.path)
    try Self.text.write(
      to: directory.appending(path: "text.txt"), atomically: true, encoding: .utf8)
  }

  func remove() { try? FileManager.default.removeItem(at: directory) }

  /// A small model on a small text, saved every 10 of 200 steps.
  func arguments(_ more: [String] = []) -> [String] {
    [
      "--data", directory.appending(path: "text.txt").path, "--output_dir", store,
      "--n_layer", "1", "--n_head", "2", "--n_embd", "32", "--block_size", "32",
      "--batch_size", "8", "--max_steps", "200", "--save_steps", "10", "--eval_steps", "100",
      "--warmup_steps", "10", "--seed", "1",
    ] + more
  }

  /// Trains until the end, or until it is sent a signal after `delay` seconds.
  func train(
    _ more: [String] = [], killedAfter delay: Double? = nil, by signal: Int32 = SIGKILL
  ) throws -> Result {
    try Self.run("train-lm", arguments(more), killedAfter: delay, by: signal)
  }

  /// The names of the checkpoints in the store.
  func checkpoints() -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: store)) ?? [])
      .filter { $0.hasPrefix("step-") && $0.hasSuffix(".ckpt") }
      .sorted()
  }

  func path(_ name: String) -> String { store + "/" + name }

  /// Inverts one byte of a file.
  func flipByte(of name: String, at offset: Int) throws {
    var bytes = try Data(contentsOf: URL(filePath: path(name)))
    bytes[offset] ^= 0xFF
    try bytes.write(to: URL(filePath: path(name)))
  }

  // MARK: Processes

  /// Where the build puts executables: beside the one that runs the tests.
  static func executable(_ name: String) throws -> String {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(filePath: tests).deletingLastPathComponent().appending(path: name).path
  }

  static func run(
    _ name: String, _ arguments: [String], killedAfter delay: Double? = nil,
    by signal: Int32 = SIGKILL, timeout: Double = 120
  ) throws -> Result {
    try runPath(executable(name), arguments, killedAfter: delay, by: signal, timeout: timeout)
  }

  /// By what to multiply the time after which a program is taken to hang.
  static let patience =
    Double(ProcessInfo.processInfo.environment["TEST_PATIENCE"] ?? "") ?? 1

  static func runPath(
    _ path: String, _ arguments: [String], killedAfter delay: Double? = nil,
    by signal: Int32 = SIGKILL, timeout: Double = 120
  ) throws -> Result {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    let (output, errors) = (try OutputFile(), try OutputFile())
    process.standardOutput = output.handle
    process.standardError = errors.handle
    let start = Date()
    try process.run()
    func wait(seconds: Double) {
      let deadline = Date().addingTimeInterval(seconds)
      while process.isRunning, Date() < deadline { usleep(500) }
    }
    if let delay {
      wait(seconds: delay)
      if process.isRunning { kill(process.processIdentifier, signal) }
    }
    wait(seconds: timeout * patience)
    if process.isRunning {
      Issue.record("\(path) did not end in \(timeout * patience) s")
      kill(process.processIdentifier, SIGKILL)
    }
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      output: output.text(), errors: errors.text(), seconds: Date().timeIntervalSince(start))
  }

  /// A file for a program's output: unlike a pipe it never fills up.
  private final class OutputFile {
    let url = URL(filePath: NSTemporaryDirectory()).appending(path: "out-\(UUID().uuidString)")
    let handle: FileHandle

    init() throws {
      _ = FileManager.default.createFile(atPath: url.path, contents: nil)
      handle = try FileHandle(forWritingTo: url)
    }

    func text() -> String {
      defer { try? FileManager.default.removeItem(at: url) }
      return (try? String(contentsOf: url, encoding: .utf8)) ?? ""
    }
  }

  /// A text of some 20,000 characters with something to learn in it.
  private static let text: String = {
    let words = [
      "checkpoint", "save", "resume", "the", "a", "step", "of", "disk", "state", "is", "durable",
      "bytes", "and", "tensor", "names", "when", "power", "fails",
    ]
    var state: UInt64 = 7
    return (0..<3500).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return words[Int(state >> 33) % words.count]
    }.joined(separator: " ")
  }()
}
