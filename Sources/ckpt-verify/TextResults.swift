internal import CheckpointEngine
internal import CommandLineTool

/// Results for people and for grep: a word, the path, and what is known, on one line.
struct TextResults: Results {
  func add(_ report: VerificationReport, _ verdict: Verdict, path: String) {
    if verdict == .ok { print(verdict, path, report.level, facts(report)) }
    for finding in report.findings {
      print(
        Verdict(finding), path, report.level,
        place(finding.location) + "  " + (finding.reason ?? finding.message))
    }
  }

  func finish(_ tally: Tally, _ level: VerificationLevel) {}

  private func print(
    _ verdict: Verdict, _ path: String, _ level: VerificationLevel, _ rest: String
  ) {
    let line = "\(verdict.rawValue)  \(escaped(path))  level=\(level.rawValue)\(rest)"
    StandardStreams.writeOutput(Colors.output.paintFirstWord(of: line, verdict.tone))
  }

  private func facts(_ report: VerificationReport) -> String {
    var text = ""
    if let header = report.header { text += " step=\(header.step) generation=\(header.generation)" }
    if let count = report.tensorCount { text += " tensors=\(count)" }
    if let count = report.chunkCount { text += " chunks=\(count)" }
    return text + " bytes=\(report.byteCount)"
  }

  private func place(_ location: CheckpointError.Location?) -> String {
    var text = ""
    if let offset = location?.offset { text += " offset=\(offset)" }
    if let tensor = location?.tensor { text += " tensor='\(escaped(tensor))'" }
    if let chunk = location?.chunk { text += " chunk=\(chunk)" }
    return text
  }
}

extension Verdict {
  fileprivate var tone: Colors.Tone {
    switch self {
    case .ok: .good
    case .damaged: .bad
    case .unreadable, .unsupported, .removed: .caution
    }
  }
}
