import CheckpointTesting
import CheckpointTraining
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A run that keeps its newest checkpoint only.
final class KeepsOne {
  var trainer = Trainer()
  private let manager: CheckpointManager

  init(_ directory: String, on device: StorageDevice = .posix) throws {
    manager = try CheckpointManager(
      directory: directory, saving: .manual, keeping: .last(1),
      options: StoreOptions(device: device))
    try manager.resume(&trainer, from: .latest)
  }

  struct Saved {
    var path: String
    var identifier: String
    var retention: RetentionReport
  }

  @discardableResult
  func save(step: Int) throws -> Saved {
    trainer.step = step
    guard case .saved(let receipt, let retention) = try manager.save(trainer, step: step) else {
      throw NotSaved()
    }
    return Saved(
      path: receipt.path, identifier: "\(receipt.checkpointIdentifier)", retention: retention)
  }

  struct NotSaved: Error {}
}

/// A program that runs beside the test.
final class Program {
  private let process = Process()
  private let output: URL

  static var hasFlock: Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/flock") }

  /// The path of a product: they lie beside the test executable.
  static func path(of product: String) throws -> String {
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(fileURLWithPath: executable).deletingLastPathComponent()
      .appending(path: product).path
  }

  /// Runs a program to its end.
  static func run(_ command: [String]) throws -> (status: Int32, output: String) {
    try Program(command).end()
  }

  /// Starts a program that looks for others among our products first.
  init(_ command: [String], environment added: [String: String] = [:]) throws {
    output = FileManager.default.temporaryDirectory.appending(
      path: "checkpoint-how-to-\(UUID().uuidString)")
    try Data().write(to: output)
    let handle = try FileHandle(forWritingTo: output)
    var environment = ProcessInfo.processInfo.environment
    let products = try Self.path(of: "")
    environment["PATH"] = "\(products):\(environment["PATH"] ?? "/usr/bin:/bin")"
    environment.merge(added) { $1 }
    process.environment = environment
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = handle
    process.standardError = handle
    try process.run()
  }

  deinit { try? FileManager.default.removeItem(at: output) }  // what stays is temporary

  func awaitFile(_ path: String) throws {
    try awaitThat { FileManager.default.fileExists(atPath: path) || !process.isRunning }
    let output = try text()
    try #require(FileManager.default.fileExists(atPath: path), "\(output)")
  }

  func end() throws -> (status: Int32, output: String) {
    try awaitThat { !process.isRunning }
    return (process.terminationStatus, try text())
  }

  private func text() throws -> String { try String(contentsOf: output, encoding: .utf8) }

  /// Ends the program if it takes more than a minute.
  private func awaitThat(_ condition: () -> Bool) throws {
    let start = ContinuousClock.now
    while !condition() {
      if ContinuousClock.now - start > .seconds(60) {
        kill(process.processIdentifier, SIGKILL)
        throw TimedOut()
      }
      Thread.sleep(forTimeInterval: 0.002)
    }
  }

  struct TimedOut: Error {}
}
