internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt diff`.
enum DiffCommand {
  static let command = Subcommand(
    "diff", kinds: ["exact": .flag, "tensors": .repeated, "limit": .value, "json": .flag],
    help: help
  ) { options in
    guard options.positionals.count == 2 else { throw UsageError("Name two checkpoints.") }
    let limit = try options.integer("limit", in: 0...Int.max) ?? 50
    let left = try NamedCheckpoint(options.positionals[0], for: "diff").reader
    let right = try NamedCheckpoint(options.positionals[1], for: "diff").reader
    var comparison = ComparisonOptions()
    let patterns = options.strings("tensors")
    if !patterns.isEmpty { comparison.selection = .matching(patterns) }
    comparison.measures = !options.has("exact")
    let difference = try compared(left, right, comparison)
    if !patterns.isEmpty, difference.comparedTensorCount == 0, difference.tensors.isEmpty {
      throw CheckpointError(
        .notFound,
        "Neither has a tensor that matches "
          + patterns.map { "'\(escaped($0))'" }.joined(separator: " or ") + ".")
    }
    let report = DifferenceReport(
      left: left, right: right, difference: difference, isExact: !comparison.measures,
      isPart: !patterns.isEmpty)
    for line in options.has("json") ? report.json : report.text(limit: limit) {
      StandardStreams.writeOutput(line)
    }
    return difference.isSameState ? .success : .failure
  }

  private static func compared(
    _ left: CheckpointReader, _ right: CheckpointReader, _ options: ComparisonOptions
  ) throws(CheckpointError) -> CheckpointDifference {
    let progress = ProgressLine()
    defer { progress.clear() }
    return try left.difference(from: right, options) { done, total in
      progress.update {
        ProgressLine.text("comparing", done: done, of: total, columnCount: $0)
      }
    }
  }

  private static let help = """
    Compares the states of two checkpoints.

    usage: ckpt diff A B [--exact] [--tensors GLOB]... [--limit N] [--json]

    The state is what training goes on from: the step, every tensor bit for bit,
    which tensors are tied, and the values and versions of the state. Metrics and
    environment are shown, and are no part of it; nor are identifiers, times,
    chunks, format versions and the order of saving. A store stands for its newest
    checkpoint.

      changed   elements of which a bit differs: -0 is not 0, and a NaN is another
                if its payload is
      max abs   the greatest distance between two finite elements
      max rel   the same, as a part of the larger of the two
      max ulp   the greatest number of floats from one to the other; from -0 to 0
                it is none
      not finite   changed elements with a NaN or an infinity on either side, which
                   have no distance

      --exact          For scripts: only whether the states are the same, and what
                       is not. Stops reading a tensor at its first difference, and
                       measures nothing.
      --tensors GLOB   Compare only the tensors whose names match, and nothing else;
                       '*' stands for anything between two slashes, '**' for whole
                       parts.
      --limit N        Show at most N lines of a kind; without it 50.
      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.

    exit status:
       0  the states are the same
       1  they differ
       2  one could not be read, is damaged, or is not there
       3  one needs a newer build or larger limits
      64  the command line has no meaning

    example:
      ckpt diff --exact runs/a runs/b && echo the same
    """
}
