internal import CheckpointFormat
package import CheckpointStorage

/// Tries what a file system does, as `ckpt doctor` does.
///
/// Works in a directory of its own, which is gone afterwards.
package struct FileSystemDoctor {
  private let device: StorageDevice

  package init(on device: StorageDevice = .posix) { self.device = device }

  private static let syncCount = 9

  /// Examines the file system that holds a directory.
  ///
  /// - Parameter path: A directory that exists and may be written to.
  /// - Returns: What was found. That a system call was refused is a result.
  /// - Throws: ``CheckpointError`` if the directory is not there, or nothing may be made in it for another
  ///   reason than that the file system is read-only.
  package func examine(_ path: String) throws(CheckpointError) -> FileSystemReport {
    let directory = try open(path)
    var report = FileSystemReport(path: path)
    FileSystemFacts.add(to: &report, directory.descriptor.rawValue)
    report.availableByteCount =
      (try? device.backend.space(directory.descriptor))?.availableByteCount
    // Nothing can be tried there, and nothing needs to be.
    if report.options.contains("ro") { return report }
    let bits = device.randomBits()
    let name = directory.path(of: ".ckpt-doctor-\(Identifier(high: bits.0, low: bits.1))")
    do {
      try device.backend.makeDirectory(name, permissions: 0o700)
    } catch {
      throw Self.refusal(path, error)
    }
    defer { FileSystemFacts.removeDirectory(name) }
    let trial = try StoreDirectory.open(name, on: device)
    defer {
      for entry in (try? trial.names()) ?? [] {
        try? device.backend.unlink(entry, in: trial.descriptor)
      }
    }
    report.probes = Trial(device.backend, trial.descriptor).run()
    report.syncNanoseconds = syncTime(in: trial.descriptor)
    return report
  }

  private func open(_ path: String) throws(CheckpointError) -> StoreDirectory {
    do {
      return try StoreDirectory.open(path, on: device)
    } catch {
      guard error.code == .notFound else { throw error }
      throw CheckpointError(
        .notFound,
        "There is no directory \(escaped(path)). Make it first (mkdir -p), or name the one above it: "
          + "what is found holds for all of a file system.",
        at: error.location, systemCall: error.systemCall, errno: error.errno)
    }
  }

  /// Nothing can be tried in a directory.
  private static func refusal(_ path: String, _ error: StorageError) -> CheckpointError {
    CheckpointError(
      CheckpointError.writingCode(error.errno).0,
      "Nothing can be made in \(escaped(path)): \(CheckpointError.sentence(error)). Try it as the user who "
        + "trains, or name a directory of that user's on the same file system.",
      at: CheckpointError.Location(path: path), systemCall: error.call.rawValue, errno: error.errno)
  }

  /// The median time of an fsync behind a write of a few bytes.
  private func syncTime(in directory: Descriptor) -> UInt64? {
    let backend = device.backend
    guard let file = try? backend.open("time", in: directory, for: .creating(permissions: 0o600))
    else { return nil }
    defer { try? backend.close(file) }
    var times: [UInt64] = []
    for number in 0..<Self.syncCount {
      let bytes = [UInt8](repeating: UInt8(number), count: 512)
      guard (try? backend.writeAll(file, bytes.rawSpan, at: UInt64(number * 512))) != nil else {
        return nil
      }
      let start = device.timeSource.monotonic()
      guard (try? backend.sync(file)) != nil else { return nil }
      times.append(device.timeSource.monotonic() - start)
    }
    return times.sorted()[Self.syncCount / 2]
  }
}

/// The probes, each in a directory that holds nothing else.
private struct Trial {
  let backend: any StorageBackend
  let directory: Descriptor

  init(_ backend: any StorageBackend, _ directory: Descriptor) {
    self.backend = backend
    self.directory = directory
  }

  func run() -> [FileSystemReport.Probe] {
    [
      probe(.exclusiveCreate, "a second file of one name is refused", createsExclusively),
      probe(.exclusiveRename, "a rename replaces nothing", renamesExclusively),
      probe(.exclusiveLink, "a link replaces nothing", linksExclusively),
      probe(.replacingRename, "a rename takes the place of a file", renamesReplacing),
      probe(.lock, "flock keeps a second descriptor out", locks),
      probe(.fileSync, "fsync of a file succeeds") {
        try withFile { try backend.sync($0) }
        return true
      },
      probe(.directorySync, "fsync of a directory succeeds") {
        try backend.sync(directory)
        return true
      },
      probe(.directWrite, "4,096 bytes go past the page cache", writesDirectly),
      probe(.preallocation, "room can be reserved before it is written") {
        try withFile { try backend.preallocate($0, byteCount: 1 << 20) }
        return true
      },
      probe(.truncation, "a file can be cut to its length") {
        try withFile {
          try backend.truncate($0, to: 100)
          return try backend.status($0).byteCount == 100
        }
      },
    ]
  }

  private func probe(
    _ kind: FileSystemReport.Probe.Kind, _ claim: String, _ body: () throws -> Bool
  ) -> FileSystemReport.Probe {
    do {
      let isWorking = try body()
      return .init(
        kind: kind, isWorking: isWorking, explanation: isWorking ? claim : "not so: " + claim)
    } catch {
      let reason = (error as? StorageError).map { CheckpointError.sentence($0) } ?? "\(error)"
      return .init(kind: kind, isWorking: false, explanation: reason)
    }
  }

  @discardableResult
  private func withFile<Result>(
    _ name: String = "file", _ body: (Descriptor) throws -> Result
  ) throws -> Result {
    let file = try backend.open(name, in: directory, for: .creating(permissions: 0o600))
    defer {
      try? backend.close(file)
      try? backend.unlink(name, in: directory)
    }
    return try body(file)
  }

  /// Whether a call is refused because something stands under the name.
  private func isRefused(_ body: () throws -> Void) throws -> Bool {
    do {
      try body()
      return false
    } catch let error as StorageError where error.errno == FileSystemFacts.nameIsTaken {
      return true
    }
  }

  private func createsExclusively() throws -> Bool {
    try withFile { _ in
      try isRefused {
        try backend.close(backend.open("file", in: directory, for: .creating(permissions: 0o600)))
      }
    }
  }

  private func renamesExclusively() throws -> Bool {
    try withFile("a") { (_: Descriptor) -> Bool in
      let isRefused = try withFile("b") { (_: Descriptor) -> Bool in
        try self.isRefused { try backend.renameExclusively("a", to: "b", in: directory) }
      }
      guard isRefused else { return false }
      try backend.renameExclusively("a", to: "c", in: directory)
      try backend.renameExclusively("c", to: "a", in: directory)
      return true
    }
  }

  private func renamesReplacing() throws -> Bool {
    try withFile("a") { (file: Descriptor) -> Bool in
      try withFile("b") { (_: Descriptor) -> Bool in
        try backend.renameReplacing("a", to: "b", in: directory)
        return try backend.status("b", in: directory).isSameFile(as: backend.status(file))
      }
    }
  }

  private func linksExclusively() throws -> Bool {
    try withFile("a") { (_: Descriptor) -> Bool in
      try backend.link("a", to: "b", in: directory)
      defer { try? backend.unlink("b", in: directory) }
      return try isRefused { try backend.link("a", to: "b", in: directory) }
    }
  }

  private func locks() throws -> Bool {
    try withFile { (first: Descriptor) -> Bool in
      let second = try backend.open("file", in: directory, for: .locking(permissions: 0o600))
      defer { try? backend.close(second) }
      guard try backend.lock(first, .exclusive) else { return false }
      return try !backend.lock(second, .exclusive)
    }
  }

  private func writesDirectly() throws -> Bool {
    try withFile { (file: Descriptor) -> Bool in
      try backend.setCaching(file, .uncached)
      let buffer = PageBuffer(byteCount: 4096)
      buffer.copy([UInt8](repeating: 1, count: 4096).rawSpan, to: 0)
      var failure: StorageError?
      buffer.withBytes(first: 4096) { bytes in
        do throws(StorageError) {
          try backend.writeAll(file, bytes, at: 0)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      return true
    }
  }
}
