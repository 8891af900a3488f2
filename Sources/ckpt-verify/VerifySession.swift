internal import CheckpointEngine
internal import CommandLineTool

/// Verifies path after path and remembers the worst that was seen.
struct VerifySession {
  private let options: VerifyOptions
  private let verifier: Verifier
  private let progress = ProgressLine()
  private var intactCount = 0
  private var damagedCount = 0
  private var unreadableCount = 0
  private var unsupportedCount = 0

  init(_ options: VerifyOptions) {
    self.options = options
    verifier = Verifier(limits: options.limits, threads: options.threads)
  }

  mutating func run() -> ExitStatus {
    for path in options.paths { verify(path) }
    progress.clear()
    let total = intactCount + damagedCount + unreadableCount + unsupportedCount
    if total > 1 {
      StandardStreams.writeError(
        "\(total) examined at level \(options.level.rawValue): \(intactCount) intact, "
          + "\(damagedCount) damaged, \(unreadableCount) not readable, \(unsupportedCount) not "
          + "supported")
    }
    if damagedCount > 0 { return .failure }
    if unreadableCount > 0 { return .cannotTell }
    return unsupportedCount > 0 ? .unsupported : .success
  }

  /// Verifies what one argument stands for.
  private mutating func verify(_ path: String) {
    let files: [String]
    do throws(CheckpointError) {
      files = try verifier.files(at: path)
    } catch {
      return cannotTell(path, error.message)
    }
    guard !files.isEmpty else {
      return cannotTell(path, "\(escaped(path)) holds no checkpoint: there is nothing to verify.")
    }
    let progress = progress
    for file in files {
      let report = verifier.verify(file, level: options.level) { done, total in
        progress.update("\(ProgressLine.bar(done, of: total)) \(escaped(file))")
      }
      // Retention may have removed it since the directory was listed.
      if file != path, report.findings.first?.code == .notFound { continue }
      count(report)
      progress.clear()
      StandardStreams.writeOutput(
        options.isJSON ? Self.json(report).text : Self.lines(report).joined(separator: "\n"))
    }
  }

  private mutating func cannotTell(_ path: String, _ message: String) {
    unreadableCount += 1
    progress.clear()
    if options.isJSON {
      let finding = JSONValue.object([
        ("code", .string("unreadable")), ("message", .string(message)),
      ])
      StandardStreams.writeOutput(
        JSONValue.object([
          ("schema", .int(1)), ("path", .string(path)), ("level", .string(options.level.rawValue)),
          ("status", .string("unreadable")), ("findings", .array([finding])),
        ]).text)
    } else {
      StandardStreams.writeOutput("unreadable  \(message)")
    }
  }

  private mutating func count(_ report: VerificationReport) {
    switch Self.status(report) {
    case "ok": intactCount += 1
    case "damaged": damagedCount += 1
    case "unsupported": unsupportedCount += 1
    default: unreadableCount += 1
    }
  }

  /// One word for a report; damage outweighs what could not be read, and that what is too new.
  private static func status(_ report: VerificationReport) -> String {
    if report.isIntact { return "ok" }
    if report.isDamaged { return "damaged" }
    return report.isUnreadable ? "unreadable" : "unsupported"
  }

  private static func lines(_ report: VerificationReport) -> [String] {
    guard !report.isIntact else {
      var line = "ok  \(escaped(report.path))  level=\(report.level.rawValue)"
      if let header = report.header {
        line += "  step=\(header.step)  generation=\(header.generation)"
      }
      return [
        line + "  tensors=\(report.tensorCount)  chunks=\(report.chunkCount)"
          + "  bytes=\(report.byteCount)"
      ]
    }
    return report.findings.map { finding in
      var place = ""
      if let offset = finding.location?.offset { place += "  offset=\(offset)" }
      if let tensor = finding.location?.tensor { place += "  tensor=\(escaped(tensor))" }
      if let chunk = finding.location?.chunk { place += "  chunk=\(chunk)" }
      return "\(word(finding))  \(escaped(report.path))  level=\(report.level.rawValue)\(place)\n"
        + "  \(finding.message)"
    }
  }

  private static func word(_ finding: CheckpointError) -> String {
    switch finding.code {
    case .corrupted, .notRegular: "damaged"
    case .unsupported: "unsupported"
    default: "unreadable"
    }
  }

  private static func json(_ report: VerificationReport) -> JSONValue {
    var fields: [(String, JSONValue)] = [
      ("schema", .int(1)), ("path", .string(report.path)),
      ("level", .string(report.level.rawValue)), ("status", .string(status(report))),
      ("bytes", .uint(report.byteCount)), ("tensors", .int(Int64(report.tensorCount))),
      ("chunks", .int(Int64(report.chunkCount))),
      ("checked_chunks", .int(Int64(report.checkedChunkCount))),
    ]
    if let header = report.header {
      fields += [
        ("format_version", .uint(UInt64(header.formatVersion))), ("step", .uint(header.step)),
        ("generation", .uint(header.generation)),
        ("checkpoint_identifier", .string(header.checkpointIdentifier.description)),
        ("run_identifier", .string(header.runIdentifier.description)),
      ]
    }
    fields.append(("findings", .array(report.findings.map(json))))
    return .object(fields)
  }

  private static func json(_ finding: CheckpointError) -> JSONValue {
    var fields: [(String, JSONValue)] = [
      ("code", .string(finding.code.description)), ("message", .string(finding.message)),
    ]
    if let offset = finding.location?.offset { fields.append(("offset", .uint(offset))) }
    if let tensor = finding.location?.tensor { fields.append(("tensor", .string(tensor))) }
    if let chunk = finding.location?.chunk { fields.append(("chunk", .int(Int64(chunk)))) }
    if let errno = finding.errno { fields.append(("errno", .int(Int64(errno)))) }
    return .object(fields)
  }
}
