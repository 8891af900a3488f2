public import CheckpointFormat
public import CheckpointStorage

/// What a path on the command line stands for.
package enum VerificationTarget: Sendable {
  /// One file, in whatever condition, or nothing at all.
  case file(String)
  /// A directory: its checkpoints, and those set aside as damaged, both oldest first.
  case store(checkpoints: [String], quarantined: [String])
}

/// Verifies files and stores by path, as `ckpt-verify` does.
public struct Verifier: Sendable {
  private let device: StorageDevice
  private let limits: Limits
  private let pool: WorkerPool

  /// Makes a verifier.
  ///
  /// - Parameters:
  ///   - device: Where the files are.
  ///   - limits: The largest numbers accepted.
  ///   - threads: How many threads read and decode; nil for one per processor.
  public init(on device: StorageDevice = .posix, limits: Limits = .default, threads: Int? = nil) {
    self.device = device
    self.limits = limits
    pool = .sized(threads)
  }

  /// The files that a path stands for: itself, or the checkpoints of a store, oldest first.
  ///
  /// - Parameter path: A file or a directory.
  /// - Returns: Paths; none for a directory without checkpoints.
  /// - Throws: ``CheckpointError`` if a directory cannot be listed.
  public func files(at path: String) throws(CheckpointError) -> [String] {
    switch try target(at: path) {
    case .file(let file): [file]
    case .store(let checkpoints, _): checkpoints
    }
  }

  /// What a path stands for.
  package func target(at path: String) throws(CheckpointError) -> VerificationTarget {
    switch CheckpointName(StoreDirectory.split(path).name) {
    // A directory under a checkpoint's name is no store but something that is no regular file.
    case .checkpoint, .damaged: return .file(path)
    default: break
    }
    let directory: StoreDirectory
    do throws(CheckpointError) {
      directory = try StoreDirectory.open(path, on: device)
    } catch {
      // A directory that the system would not open is not a file; what it holds cannot be told.
      if error.code == .unreadable { throw error }
      return .file(path)
    }
    let entries = try StoreListing(directory).entries.reversed()
    return .store(
      checkpoints: entries.filter { $0.role != .damaged }.map(\.path),
      quarantined: entries.filter { $0.role == .damaged }.map(\.path))
  }

  /// Verifies one file.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - level: How much to examine.
  ///   - progress: Is told now and then how many bytes of how many are done, on the calling thread.
  /// - Returns: What was found; also that the file is missing or cannot be read.
  public func verify(
    _ path: String, level: VerificationLevel = .full,
    progress: ((_ done: UInt64, _ of: UInt64) -> Void)? = nil
  ) -> VerificationReport {
    do throws(CheckpointError) {
      let (parent, name) = StoreDirectory.split(path)
      let file = try StoreDirectory.open(parent, on: device).openHeld(name)
      let reader: CheckpointReader
      do throws(CheckpointError) {
        reader = try CheckpointReader(file, limits: limits, pool: pool)
      } catch {
        var report = VerificationReport(
          path: path, level: level, byteCount: file.byteCount, findings: [error])
        // Which checkpoint it is can be told although it is damaged further on.
        report.header = try? FileIndex.header(of: file, limits: limits)
        return report
      }
      var report = reader.verify(level, progress: progress)
      if let finding = nameFinding(reader, name: name) { report.addFirst(finding) }
      return report
    } catch {
      return VerificationReport(path: path, level: level, byteCount: 0, findings: [error])
    }
  }

  /// A name of ours that contradicts the header is a finding; a foreign name says nothing.
  private func nameFinding(_ reader: CheckpointReader, name: String) -> CheckpointError? {
    switch CheckpointName(name) {
    case .emergency(let step, let generation):
      reader.header.contradiction(step: step, generation: generation, path: reader.path)
    case .checkpoint(let step, let generation), .damaged(let step, let generation):
      reader.header.contradiction(step: step, generation: generation, path: reader.path)
    default: nil
    }
  }
}

extension CheckpointHeader {
  /// What is wrong with a name that states other numbers than the header.
  func contradiction(step: UInt64, generation: UInt64?, path: String) -> CheckpointError? {
    guard self.step != step || self.generation != generation ?? self.generation else { return nil }
    let rest =
      "contradicts its header, which says step \(self.step), generation \(self.generation). "
      + "Was it renamed?"
    var error = CheckpointError(
      .corrupted, "The name of \(escaped(path)) \(rest)", at: CheckpointError.Location(path: path))
    error.reason = "The file's name \(rest)"
    return error
  }
}
