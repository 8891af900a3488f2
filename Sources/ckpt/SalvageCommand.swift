internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt salvage`.
enum SalvageCommand {
  static let command = Subcommand("salvage", kinds: ["json": .flag], help: help) { options in
    guard options.positionals.count == 2 else {
      throw UsageError("Name the damaged file and a new one.")
    }
    let line = ProgressLine()
    let label = StoreDirectory.split(options.positionals[0]).name
    let report: SalvageReport
    do {
      defer { line.clear() }
      report = try Salvager().salvage(options.positionals[0], to: options.positionals[1]) {
        phase, done, total in
        line.update {
          ProgressLine.text("\(phase.rawValue) \(label)", done: done, of: total, columnCount: $0)
        }
      }
    } catch let error as CheckpointError where error.code == .corrupted {
      StandardStreams.writeError("ckpt salvage: \(error)")
      return .failure
    }
    for text in options.has("json") ? SalvageText.json(report) : SalvageText.lines(report) {
      StandardStreams.writeOutput(text)
    }
    StandardStreams.writeError("ckpt salvage: " + SalvageText.summary(report))
    for text in SalvageText.advice(report) { StandardStreams.writeError(text) }
    return report.isComplete ? .success : .failure
  }

  private static let help = """
    Copies what is intact of a damaged checkpoint into a new file.

    usage: ckpt salvage DAMAGED TARGET [--json]

    DAMAGED is only read; TARGET must not exist. Header, tables, index and trailer
    may be missing: what a tensor is stands in two places, and chunks are searched
    for. A tensor is recovered with every bit as it was saved, or not at all. If
    anything is lost the new file is marked unhealthy, so that no run goes on from
    it unasked. With both tables lost, tensors are recovered as bytes under the
    names 'salvaged/0', 'salvaged/1' and so on.

      --json           Print one JSON object per line, as docs/json.md says.
      --help           Print this.

    Standard output has one line per tensor and lost part:
      recovered    it is in the new file
      lost         it is not, and which chunks of it are lost
      damaged      a part that is no tensor
    A summary goes to standard error.

    exit status:
       0  everything was recovered
       1  something is lost; what was recovered is in the new file
       2  a file could not be read or written, or TARGET exists
       3  the file is of a newer version, or has features that this build lacks
      64  the command line has no meaning

    example:
      ckpt salvage runs/demo/step-000001500.g000003.ckpt rescued.ckpt
    """
}

/// What is told of a salvage.
private enum SalvageText {
  /// The most ranges that are told in one line.
  private static let rangeCountMax = 8

  static func lines(_ report: SalvageReport) -> [String] {
    report.damagedParts.map {
      Colors.output.paintFirstWord(of: "damaged    the \($0.rawValue)", .bad)
    }
      + report.tensors.map { tensor in
        let shape = "\(tensor.descriptor.dtype.name) \(tensor.descriptor.shape)"
        let what = "'\(escaped(tensor.descriptor.name))'  \(shape)"
        let alias = tensor.original.map { "  the same as '\(escaped($0))'" } ?? ""
        return Colors.output.paintFirstWord(
          of: tensor.isRecovered
            ? "recovered  \(what)\(alias)" : "lost       \(what)\(alias)  \(loss(of: tensor))",
          tensor.isRecovered ? .good : .bad)
      }
  }

  private static func loss(of tensor: SalvageReport.Tensor) -> String {
    guard tensor.lostChunkCount > 0 else { return "its chunks do not make a whole" }
    let ranges = tensor.lostRanges.prefix(rangeCountMax).map {
      "\($0.lowerBound)..<\($0.upperBound)"
    }
    let more = tensor.lostRanges.count > rangeCountMax ? " and more" : ""
    let bytes = ranges.isEmpty ? "" : ": bytes " + ranges.joined(separator: ", ") + more
    return "\(tensor.lostChunkCount) of \(tensor.chunkCount) chunks lost\(bytes)"
  }

  static func summary(_ report: SalvageReport) -> String {
    let count =
      "\(report.tensors.count - report.lostTensorCount) of \(report.tensors.count) tensors"
    let values = report.valueCount.map { " and \($0) values" } ?? ""
    guard let target = report.target else {
      return "nothing could be recovered, no file was written."
    }
    let losses =
      report.isComplete ? "nothing is lost" : "lost: " + report.losses.joined(separator: "; ")
    return "\(count)\(values) are in \(escaped(target)); \(losses)."
  }

  /// What to do next.
  static func advice(_ report: SalvageReport) -> [String] {
    guard let target = report.target else {
      return ["Go back to an older checkpoint: of the tensors nothing is left in this file."]
    }
    guard !report.isComplete else { return ["'ckpt show \(escaped(target))' shows what is in it."] }
    return [
      "'ckpt show \(escaped(target))' shows what is in it. It is marked unhealthy: go on from",
      "an older checkpoint if there is one, or begin a new run from these tensors.",
    ]
  }

  static func json(_ report: SalvageReport) -> [String] {
    report.tensors.map { tensor in
      JSONValue.object([
        ("event", .string("tensor")), ("schema", .int(1)),
        ("name", .string(tensor.descriptor.name)),
        ("dtype", .string(tensor.descriptor.dtype.name)),
        ("shape", .array(tensor.descriptor.shape.map { .int(Int64($0)) })),
        ("alias_of", tensor.original.map { .string($0) } ?? .null),
        ("recovered", .bool(tensor.isRecovered)), ("chunks", .int(Int64(tensor.chunkCount))),
        ("lost_chunks", .int(Int64(tensor.lostChunkCount))),
        (
          "lost_ranges",
          .array(tensor.lostRanges.map { .array([.uint($0.lowerBound), .uint($0.upperBound)]) })
        ),
      ]).text
    } + [summaryObject(report).text]
  }

  private static func summaryObject(_ report: SalvageReport) -> JSONValue {
    .object([
      ("event", .string("summary")), ("schema", .int(1)), ("path", .string(report.path)),
      ("target", report.target.map { .string($0) } ?? .null), ("bytes", .uint(report.byteCount)),
      ("complete", .bool(report.isComplete)),
      ("format_version", .uint(UInt64(report.formatVersion.rawValue))),
      ("save_identifier", .string(report.saveIdentifier.description)),
      ("step", report.header.map { .uint($0.step) } ?? .null),
      ("generation", report.header.map { .uint($0.generation) } ?? .null),
      ("tensors", .int(Int64(report.tensors.count))),
      ("lost_tensors", .int(Int64(report.lostTensorCount))),
      ("values", report.valueCount.map { .int(Int64($0)) } ?? .null),
      ("tables_lost", .bool(report.areTablesLost)),
      ("damaged_parts", .array(report.damagedParts.map { .string($0.rawValue) })),
      ("losses", .array(report.losses.map { .string($0) })),
      ("unreadable_bytes", .uint(report.unreadableByteCount)),
      ("reading_cut_short", .bool(report.isReadingCutShort)),
    ])
  }
}
