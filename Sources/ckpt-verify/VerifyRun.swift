package import CheckpointEngine
package import CommandLineTool

/// Verifies what the command line names, path by path.
package struct VerifyRun {
  let verifier: Verifier
  let level: VerificationLevel
  let results: any Results
  private let progress = ProgressLine()
  private var tally = Tally()

  package init(verifier: Verifier, level: VerificationLevel, results: any Results) {
    self.verifier = verifier
    self.level = level
    self.results = results
  }

  package mutating func verify(_ paths: [String]) -> ExitStatus {
    for path in paths where !StandardStreams.hasOutputFailed { verify(path) }
    results.finish(tally, level)
    note("\(tally.summary) (level \(level.rawValue)).")
    // A verdict that could not be printed must not pass for one that was.
    let code = tally.exitStatus
    return code != .failure && StandardStreams.hasOutputFailed ? .cannotTell : code
  }

  private mutating func verify(_ path: String) {
    do throws(CheckpointError) {
      switch try verifier.target(at: path) {
      case .file(let file):
        record(verify(file, label: name(of: file)), path: file)
      case .store(let checkpoints, let quarantined):
        verifyStore(path, checkpoints)
        for file in quarantined {
          note("\(escaped(file)) was set aside as damaged; name it to have it verified.")
        }
      }
    } catch {
      record(failure(error, path), path: path)
    }
  }

  private mutating func verifyStore(_ path: String, _ checkpoints: [String]) {
    if checkpoints.isEmpty {
      var nothing = CheckpointError(
        .notFound, "There is no checkpoint in \(escaped(path)): nothing to verify.")
      nothing.reason = "There is no checkpoint in this directory: nothing to verify."
      record(failure(nothing, path), path: path)
    }
    for (index, file) in checkpoints.enumerated() where !StandardStreams.hasOutputFailed {
      let report = verify(file, label: "\(index + 1)/\(checkpoints.count) \(name(of: file))")
      if report.findings.contains(where: { $0.code == .notFound }) {
        tally.add(.removed)
      } else {
        record(report, path: file)
      }
    }
  }

  private func verify(_ file: String, label: String) -> VerificationReport {
    verifier.verify(file, level: level) { [progress] done, total in
      progress.update {
        ProgressLine.text(label, done: done, of: total, columnCount: $0)
      }
    }
  }

  private func name(of path: String) -> String {
    String(path.split(separator: "/").last ?? "")
  }

  private func failure(_ error: CheckpointError, _ path: String) -> VerificationReport {
    VerificationReport(path: path, level: level, byteCount: 0, findings: [error])
  }

  private mutating func record(_ report: VerificationReport, path: String) {
    progress.clear()
    let verdict = Verdict(report)
    tally.add(verdict)
    results.add(report, verdict, path: path)
    if report.omittedFindingCount > 0 {
      note("\(report.omittedFindingCount) more findings in \(escaped(path)) are not shown.")
    }
    // The kernel knows bytes, our paths are text.
    if verdict == .unreadable, path.unicodeScalars.contains("\u{FFFD}") {
      note("A path that is not UTF-8 cannot be opened; give the file another name.")
    }
  }

  private func note(_ line: String) {
    progress.clear()
    StandardStreams.writeError("ckpt-verify: \(line)")
  }
}

/// Where results go.
package protocol Results {
  /// Takes the report on `path`, which is spelled as the command line or the directory spells it.
  func add(_ report: VerificationReport, _ verdict: Verdict, path: String)
  /// Comes last, once.
  func finish(_ tally: Tally, _ level: VerificationLevel)
}
