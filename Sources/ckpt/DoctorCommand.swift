internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt doctor`.
enum DoctorCommand {
  static let command = Subcommand("doctor", kinds: ["json": .flag], help: help) { options in
    guard options.positionals.count == 1 else { throw UsageError("Name one directory.") }
    let report = try FileSystemDoctor().examine(options.positionals[0])
    for line in options.has("json") ? [json(report)] : lines(report) {
      StandardStreams.writeOutput(line)
    }
    return report.verdict.guarantee == .durable ? .success : .failure
  }

  private static let help = """
    Tells what a file system does for a store, by trying it.

    usage: ckpt doctor DIR [--json]

    Makes a directory in DIR, tries in it what a store needs, and removes it; reads
    how DIR is mounted; measures an fsync. The last line says what a store there
    survives. No program can see whether a disk keeps its word: an fsync that is
    too fast to be true is told.

      --json           Print one JSON object, as docs/json.md says.
      --help           Print this.

    exit status:
       0  durable: survives a kill, a crash of the system and a power cut
       1  a weaker guarantee, which is named
       2  it cannot be told: no such directory, or no permission
      64  the command line has no meaning

    example:
      ckpt doctor runs && train-lm --output_dir runs/demo
    """

  private static func lines(_ report: FileSystemReport) -> [String] {
    var lines = report.probes.map { probe in
      let name = probe.kind.rawValue
      let space = String(repeating: " ", count: max(0, 22 - name.count))
      let line = (probe.isWorking ? "yes  " : "no   ") + name + space + probe.explanation
      return Colors.output.paintFirstWord(of: line, probe.isWorking ? .good : .caution)
    }
    let mount = [report.type, report.source, report.mountPoint].map { escaped($0 ?? "unknown") }
    lines.append("file system: \(mount[0]), \(mount[1]) at \(mount[2])")
    if !report.options.isEmpty {
      lines.append("mounted with: " + escaped(report.options.joined(separator: ",")))
    }
    if let cache = report.writeCache {
      let kind = report.isRotational == true ? "rotating disk" : "disk that does not rotate"
      lines.append("disk: \(kind), cache \(escaped(cache))")
    }
    if let count = report.availableByteCount { lines.append("free: \(count) bytes") }
    if let count = report.availableFileCount { lines.append("free: \(count) files") }
    if let count = report.fileByteCountMax {
      lines.append("largest file: \(count) bytes (ulimit -f)")
    }
    if let time = report.syncNanoseconds {
      lines.append("fsync of a small write: \(time / 1000) us")
    }
    lines += report.notes.map { "note: " + $0 }
    lines += report.verdict.reasons.map { "because: " + escaped($0) }
    let guarantee = report.verdict.guarantee
    let tone: Colors.Tone = guarantee == .durable ? .good : .caution
    return lines + ["guarantee: " + Colors.output.paint(guarantee.rawValue, tone)]
  }

  private static func json(_ report: FileSystemReport) -> String {
    let verdict = report.verdict
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    func number(_ value: UInt64?) -> JSONValue { value.map { .uint($0) } ?? .null }
    return JSONValue.object([
      ("event", .string("file_system")), ("schema", .int(1)), ("path", .string(report.path)),
      ("guarantee", .string(verdict.guarantee.rawValue)),
      ("reasons", .array(verdict.reasons.map { .string($0) })),
      ("notes", .array(report.notes.map { .string($0) })),
      (
        "probes",
        .array(
          report.probes.map {
            .object([
              ("name", .string($0.kind.rawValue)), ("works", .bool($0.isWorking)),
              ("explanation", .string($0.explanation)),
            ])
          })
      ),
      ("type", text(report.type)), ("source", text(report.source)),
      ("mount_point", text(report.mountPoint)),
      ("options", .array(report.options.map { .string($0) })),
      ("available_bytes", number(report.availableByteCount)),
      ("available_files", number(report.availableFileCount)),
      ("file_bytes_max", number(report.fileByteCountMax)),
      ("sync_nanoseconds", number(report.syncNanoseconds)),
      ("write_cache", text(report.writeCache)),
      ("rotational", report.isRotational.map { .bool($0) } ?? .null),
    ]).text
  }
}
