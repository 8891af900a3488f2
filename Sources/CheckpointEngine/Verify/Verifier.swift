public import CheckpointFormat
public import CheckpointStorage

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
    guard let directory = try? StoreDirectory.open(path, on: device) else { return [path] }
    let entries = try StoreListing(directory).candidates
    return entries.reversed().map(\.path)
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
        return failed(path, level, error, byteCount: file.byteCount)
      }
      var report = reader.verify(level, progress: progress)
      if let finding = nameFinding(reader, name: name) { report.findings.insert(finding, at: 0) }
      return report
    } catch {
      return failed(path, level, error, byteCount: 0)
    }
  }

  private func failed(
    _ path: String, _ level: VerificationLevel, _ error: CheckpointError, byteCount: UInt64
  ) -> VerificationReport {
    VerificationReport(path: path, level: level, byteCount: byteCount, findings: [error])
  }

  /// A name of ours that contradicts the header is a finding; a foreign name says nothing.
  private func nameFinding(_ reader: CheckpointReader, name: String) -> CheckpointError? {
    switch CheckpointName(name) {
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
    return CheckpointError(
      .corrupted,
      "The name of \(escaped(path)) contradicts its header, which says step \(self.step), "
        + "generation \(self.generation). Was it renamed?",
      at: CheckpointError.Location(path: path))
  }
}
