internal import CheckpointTraining
internal import CommandLineTool
internal import LanguageModel

/// A dry run has shown that the run would be refused.
struct TrainingRefusal: Error, CustomStringConvertible {
  var description: String { "resuming would be refused." }
}

/// The table of `--resume_check dry-run`: what a resume would meet.
struct DryRun {
  let preview: ResumePreview

  /// Tells what a resume would meet, and changes nothing on disk; throws if it would be refused.
  static func run(_ options: TrainOptions) throws {
    let corpus = try Corpus(contentsOf: options.data)
    let trainer = try Trainer(configuration: options.configuration, corpus: corpus)
    let preview = try preview(options, trainer)
    Event.resumeCheck(preview).emit()
    for line in DryRun(preview: preview).lines { StandardStreams.writeError(line) }
    if preview.grade == .refuse { throw TrainingRefusal() }
  }

  private static func preview(_ options: TrainOptions, _ trainer: Trainer) throws -> ResumePreview {
    let manager: CheckpointManager
    do {
      // For reading: the run may be going on right now.
      manager = try CheckpointManager(
        directory: options.outputDirectory, for: .reading, saving: .manual,
        contract: try .trainLM(options, trainer))
    } catch let error as CheckpointError where error.code == .notFound {
      return .fresh
    }
    return try manager.previewResume(of: trainer, from: options.resumeSource)
  }

  /// Lines for people, 80 columns wide where values are short.
  var lines: [String] {
    guard let checkpoint = preview.checkpoint else {
      return ["There is no checkpoint to resume from: the run would begin afresh."]
    }
    var lines = ["Would resume after step \(checkpoint.step) from \(escaped(checkpoint.path))."]
    lines += preview.skipped.map { "Would pass over: \($0.reason.message)" }
    let width = preview.differences.map(\.name.count).max() ?? 0
    for difference in preview.differences {
      let name = difference.name + String(repeating: " ", count: width - difference.name.count)
      let saved = clipped(difference.saved ?? "-")
      let values =
        difference.grade == .same ? saved : saved + " → " + clipped(difference.current ?? "-")
      lines.append("  \(escaped(name))  \(values)  \(difference.grade.text)")
    }
    if let misfit = preview.misfit { lines.append(misfit.message) }
    lines.append(verdict)
    return lines
  }

  private var verdict: String {
    switch preview.grade {
    case .same, .harmless: "The run would go on bit for bit."
    case .changesTrajectory: "The run would go on, and not as it would have before."
    case .refuse: "The run would be refused."
    }
  }

  /// Digests are long, and their beginning is enough to see that they differ.
  private func clipped(_ value: String) -> String {
    value.count <= 24 ? escaped(value) : escaped(String(value.prefix(16))) + "…"
  }
}
