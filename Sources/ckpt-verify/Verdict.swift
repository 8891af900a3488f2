internal import CheckpointEngine
package import CommandLineTool

/// What is to be said of a checkpoint in one word, the same in both kinds of output.
package enum Verdict: String {
  case ok, damaged, unreadable, unsupported
  /// Retention removed it after its directory was listed; no finding.
  case removed

  /// The worst that a report says: damage counts more than what could not be read.
  init(_ report: VerificationReport) {
    let verdicts = report.findings.map(Verdict.init)
    self =
      [.damaged, .unreadable, .unsupported].first { verdicts.contains($0) } ?? .ok
  }

  init(_ finding: CheckpointError) {
    switch finding.code {
    case .corrupted, .notRegular: self = .damaged
    case .unsupported: self = .unsupported
    default: self = .unreadable
    }
  }
}

/// How many checkpoints there are of each verdict.
package struct Tally {
  private var counts: [Verdict: Int] = [:]

  package init() {}

  package mutating func add(_ verdict: Verdict) { counts[verdict, default: 0] += 1 }

  package func count(_ verdict: Verdict) -> Int { counts[verdict] ?? 0 }

  package var exitStatus: ExitStatus {
    if count(.damaged) > 0 { return .failure }
    if count(.unreadable) > 0 { return .cannotTell }
    if count(.unsupported) > 0 { return .unsupported }
    // With nothing verified there is nothing to call intact.
    return count(.ok) > 0 ? .success : .cannotTell
  }

  /// One line for a person.
  package var summary: String {
    let parts: [(Verdict, String)] = [
      (.ok, "intact"), (.damaged, "damaged"), (.unreadable, "unreadable"),
      (.unsupported, "unsupported"), (.removed, "removed meanwhile"),
    ]
    let counted = parts.filter { count($0.0) > 0 }.map { "\(count($0.0)) \($0.1)" }
    return counted.isEmpty ? "nothing to verify" : counted.joined(separator: ", ")
  }
}
