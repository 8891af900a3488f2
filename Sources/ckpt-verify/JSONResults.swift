internal import CheckpointEngine
internal import CommandLineTool

/// Results for programs, one JSON object per line.
///
/// - SeeAlso: docs/json.md, which is the contract: a change of meaning raises the schema's number.
struct JSONResults: Results {
  private static var schema: (String, JSONValue) { ("schema", .int(1)) }

  func add(_ report: VerificationReport, _ verdict: Verdict, path: String) {
    var fields: [(String, JSONValue)] = [
      ("event", .string("checkpoint")), Self.schema, ("path", .string(path)),
      ("level", .string(report.level.rawValue)), ("status", .string(verdict.rawValue)),
      ("bytes", .uint(report.byteCount)),
    ]
    if let count = report.tensorCount { fields.append(("tensors", .int(Int64(count)))) }
    if let count = report.chunkCount { fields.append(("chunks", .int(Int64(count)))) }
    fields.append(("checked_chunks", .int(Int64(report.checkedChunkCount))))
    if let header = report.header {
      fields += [
        ("format_version", .uint(UInt64(header.formatVersion.rawValue))),
        ("step", .uint(header.step)),
        ("generation", .uint(header.generation)),
        ("checkpoint_identifier", .string(header.checkpointIdentifier.description)),
        ("run_identifier", .string(header.runIdentifier.description)),
      ]
    }
    fields.append(("findings", .array(report.findings.map(finding))))
    if report.omittedFindingCount > 0 {
      fields.append(("omitted_findings", .int(Int64(report.omittedFindingCount))))
    }
    StandardStreams.writeOutput(JSONValue.object(fields).text)
  }

  func finish(_ tally: Tally, _ level: VerificationLevel) {
    let verdicts: [Verdict] = [.ok, .damaged, .unreadable, .unsupported, .removed]
    let object: JSONValue = .object(
      [("event", .string("summary")), Self.schema, ("level", .string(level.rawValue))]
        + verdicts.map { ($0.rawValue, .int(Int64(tally.count($0)))) }
        + [("exit", .int(Int64(tally.exitStatus.rawValue)))])
    StandardStreams.writeOutput(object.text)
  }

  private func finding(_ error: CheckpointError) -> JSONValue {
    var fields: [(String, JSONValue)] = [
      ("status", .string(Verdict(error).rawValue)), ("code", .string(error.code.description)),
      ("message", .string(error.reason ?? error.message)),
    ]
    if let offset = error.location?.offset { fields.append(("offset", .uint(offset))) }
    if let tensor = error.location?.tensor { fields.append(("tensor", .string(tensor))) }
    if let chunk = error.location?.chunk { fields.append(("chunk", .int(Int64(chunk)))) }
    if let errno = error.errno { fields.append(("errno", .int(Int64(errno)))) }
    return .object(fields)
  }
}
