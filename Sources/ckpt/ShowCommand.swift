internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt show`.
enum ShowCommand {
  static let command = Subcommand(
    "show", kinds: ["tensors": .repeated, "statistics": .flag, "json": .flag], help: help
  ) { options in
    guard options.positionals.count == 1 else {
      throw UsageError("Name one checkpoint, or a directory of checkpoints for its newest.")
    }
    let checkpoint = try NamedCheckpoint(options.positionals[0], for: "show")
    let patterns = options.strings("tensors")
    let tensors = checkpoint.reader.summaries(
      patterns.isEmpty ? .everything : .matching(patterns))
    if tensors.isEmpty, !patterns.isEmpty {
      throw CheckpointError(
        .notFound,
        "\(escaped(checkpoint.reader.path)) has no tensor that matches "
          + patterns.map { "'\(escaped($0))'" }.joined(separator: " or ")
          + ". '*' stands for anything between two slashes, '**' for whole parts of a path.")
    }
    let statistics =
      options.has("statistics") ? try measured(tensors, of: checkpoint.reader) : nil
    let lines =
      options.has("json")
      ? CheckpointDescription.json(checkpoint, tensors, statistics)
      : CheckpointDescription.text(checkpoint, tensors, statistics)
    for line in lines { StandardStreams.writeOutput(line) }
    return .success
  }

  private static func measured(
    _ tensors: [TensorSummary], of reader: CheckpointReader
  ) throws(CheckpointError) -> [TensorStatistics] {
    let progress = ProgressLine()
    defer { progress.clear() }
    return try reader.statistics(of: tensors.map(\.number)) { done, total in
      progress.update {
        ProgressLine.text("measuring", done: done, of: total, columnCount: $0)
      }
    }
  }

  private static let help = """
    Shows what is in a checkpoint.

    usage: ckpt show FILE [--tensors GLOB]... [--statistics] [--json]

    Who wrote it and when, where it stands in its run, its sizes; the values saved
    with it; and a line for each tensor. FILE may be a store: then its newest
    checkpoint is shown. Reads header and index; 'ckpt-verify' checks the rest.

      --tensors GLOB   Show only the tensors whose names match; '*' stands for
                       anything between two slashes, '**' for whole parts.
      --statistics     Read the tensors and tell minimum, maximum, mean, L2 norm
                       and how many elements are NaN, infinite and zero. Mean and
                       norm are of the finite elements. Of complex numbers, both
                       parts count by themselves.
      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.

    exit status:
       0  done
       2  it could not be read, is damaged, or is not there
       3  it needs a newer build or larger limits
      64  the command line has no meaning

    example:
      ckpt show runs/demo --tensors 'model/**/weight' --statistics
    """
}
