internal import CheckpointEngine
internal import CommandLineTool

/// Prints what is done or would be, for people or, one JSON object a line, for programs.
///
/// - SeeAlso: docs/json.md, which is the contract: a change of meaning raises the schema's number.
struct MigrationResults {
  private let asJSON: Bool

  init(asJSON: Bool) { self.asJSON = asJSON }

  // MARK: Plans

  func steps(_ plan: MigrationPlan) {
    if asJSON { return print("plan", Self.steps(plan)) }
    for line in plan.description.split(separator: "\n") {
      StandardStreams.writeOutput(escaped(String(line)))
    }
  }

  func plan(_ migration: CheckpointMigration, to target: String) {
    steps(migration.plan)
    let reader = migration.reader
    if asJSON {
      return print(
        "checkpoint",
        [("path", .string(reader.path)), ("action", .string("migrate"))]
          + Self.size(migration.byteCountMax, migration.losses)
          + [
            ("destination", .string(target)), ("bytes", .uint(reader.byteCount)),
            ("tensors", .int(Int64(migration.tensors.count))),
          ])
    }
    let count = migration.tensors.count
    StandardStreams.writeOutput(
      "\(escaped(reader.path)): format \(reader.header.formatVersion.rawValue), "
        + "\(Readable.count(reader.tensorCount, "tensor")), \(Readable.size(reader.byteCount))")
    StandardStreams.writeOutput(
      "\(escaped(target)): format \(migration.header.formatVersion.rawValue), "
        + "\(Readable.count(count, "tensor")), at most \(Readable.size(migration.byteCountMax))")
    for loss in migration.losses { StandardStreams.writeOutput("  " + Self.words(ofLoss: loss)) }
  }

  func plan(_ item: StoreMigrationItem) {
    let entry = item.entry
    var fields: [(String, JSONValue)] = [("path", .string(entry.path))]
    let words: String
    switch item.action {
    case .migrate(let byteCountMax, let losses):
      fields += [("action", .string("migrate"))] + Self.size(byteCountMax, losses)
      words =
        "format \(entry.header.map { "\($0.formatVersion.rawValue)" } ?? "?"), "
        + "\(Readable.size(entry.byteCount)); at most \(Readable.size(byteCountMax)) afterwards"
        + losses.map { "\n  " + Self.words(ofLoss: $0) }.joined()
    case .isDone:
      fields.append(("action", .string("none")))
      words = "is as the plan wants it"
    case .stays(let error):
      fields += [
        ("action", .string("stays")), ("code", .string("\(error.code)")),
        ("message", .string(error.message)),
      ]
      let tensor = error.location?.tensor.map { " This is tensor '\(escaped($0))'." }
      words = Colors.output.paint("stays as it is: \(error.message)\(tensor ?? "")", .caution)
    }
    if asJSON { return print("checkpoint", fields) }
    StandardStreams.writeOutput("\(escaped(entry.name)): \(words)")
  }

  func needsOriginals() {
    note("The steps lose something, so the originals must be kept: add --keep-originals DIR.")
  }

  /// What room there is, for the new files or for something else.
  func space(needed: UInt64, in directory: String, for what: String? = nil) {
    let free = (try? StoreDirectory.open(directory, on: .posix))?.availableByteCount
    if asJSON {
      return print(
        "space",
        [
          ("needed", .uint(needed)), ("free", free.map { .uint($0) } ?? .null),
          ("path", .string(directory)),
        ])
    }
    let rest = free.map { ", and \(Readable.size($0)) are free" } ?? ""
    let subject = what.map { "For \($0) \(Readable.size(needed)) are needed" }
    StandardStreams.writeOutput(
      (subject ?? "Needs at most \(Readable.size(needed))") + rest + "."
        + (what == nil ? " Nothing was written." : ""))
  }

  // MARK: Results

  func done(_ result: MigrationResult, from reader: CheckpointReader) {
    done(result, name: result.path, before: reader.byteCount)
  }

  func done(_ result: MigrationResult, in entry: StoreEntry) {
    done(result, name: entry.name, before: entry.byteCount)
  }

  private func done(_ result: MigrationResult, name: String, before: UInt64) {
    if asJSON {
      return print(
        "migrated",
        [
          ("path", .string(result.path)), ("bytes", .uint(result.byteCount)),
          ("bytes_before", .uint(before)),
          ("format_version", .uint(UInt64(result.header.formatVersion.rawValue))),
          ("step", .uint(result.header.step)), ("generation", .uint(result.header.generation)),
          ("checkpoint_identifier", .string("\(result.header.checkpointIdentifier)")),
          ("casts", .array(result.casts.map(Self.json))),
        ])
    }
    StandardStreams.writeOutput(
      "\(escaped(name)): format \(result.header.formatVersion.rawValue), "
        + "\(Readable.size(result.byteCount)), was \(Readable.size(before)); durable and compared")
    for line in Self.lines(result.casts) { StandardStreams.writeOutput("  " + line) }
  }

  func summary(migrated: Int, done: Int, staying: Int) {
    if asJSON {
      return print(
        "summary",
        [
          ("migrated", .int(Int64(migrated))), ("done_before", .int(Int64(done))),
          ("stays", .int(Int64(staying))),
        ])
    }
    var parts = ["\(Readable.count(migrated, "checkpoint")) migrated"]
    if done > 0 { parts.append("\(done) needed nothing") }
    if staying > 0 { parts.append("\(staying) left as they are") }
    note(parts.joined(separator: ", ") + ".")
  }

  func failure(_ error: any Error, path: String) -> ExitStatus {
    let failure = error as? CheckpointError
    if asJSON {
      print(
        "failed",
        [
          ("path", .string(failure?.location?.path ?? path)),
          ("code", failure.map { .string("\($0.code)") } ?? .null),
          ("message", .string("\(error)")),
        ])
    }
    note("\(error)")
    return failure.map(Self.status) ?? .cannotTell
  }

  // MARK: Exit status

  /// A result that could not be printed must not pass for one that was.
  func status(_ status: ExitStatus) -> ExitStatus {
    status == .success && StandardStreams.hasOutputFailed ? .cannotTell : status
  }

  static func status(_ error: CheckpointError) -> ExitStatus {
    switch error.code {
    case .corrupted, .notRegular, .incompatibleState, .invalidState: .failure
    case .unsupported, .overLimit: .unsupported
    default: .cannotTell
    }
  }

  /// Of several, damage counts most.
  static func worse(_ one: ExitStatus, _ other: ExitStatus) -> ExitStatus {
    let order: [ExitStatus] = [.failure, .cannotTell, .unsupported, .success]
    return order.first { $0 == one || $0 == other } ?? one
  }

  // MARK: Words

  private func note(_ line: String) { StandardStreams.writeError("ckpt-migrate: \(line)") }

  private func print(_ event: String, _ fields: [(String, JSONValue)]) {
    StandardStreams.writeOutput(
      JSONValue.object([("event", .string(event)), ("schema", .int(1))] + fields).text)
  }

  private static func steps(_ plan: MigrationPlan) -> [(String, JSONValue)] {
    [
      ("format_version", .uint(UInt64(plan.formatVersion.rawValue))),
      ("steps", .array(plan.steps.map { .string($0.description) })),
    ]
  }

  private static func size(_ byteCountMax: UInt64, _ losses: [String]) -> [(String, JSONValue)] {
    [("bytes_max", .uint(byteCountMax)), ("losses", .array(losses.map { .string($0) }))]
  }

  /// More than these are told in one sentence for all that were converted alike; JSON has each.
  private static let castLineCountMax = 8

  private static func lines(_ casts: [CastReport]) -> [String] {
    guard casts.count > castLineCountMax else { return casts.map(sentence) }
    let kinds = Set(casts.map { [$0.source, $0.target] }).sorted { "\($0)" < "\($1)" }
    return kinds.map { kind in
      let alike = casts.filter { [$0.source, $0.target] == kind }
      let all = alike.dropFirst().reduce(alike[0]) { $0.joined(with: $1) }
      return sentence(all, subject: Readable.count(alike.count, "tensor"))
    }
  }

  private static func words(ofLoss loss: String) -> String {
    Colors.output.paint("loses: \(escaped(loss))", .caution)
  }

  private static func sentence(_ cast: CastReport) -> String {
    sentence(cast, subject: escaped(cast.name))
  }

  private static func sentence(_ cast: CastReport, subject: String) -> String {
    let range = cast.range.map {
      "\(Readable.rounded($0.lowerBound)) to \(Readable.rounded($0.upperBound))"
    }
    var words =
      "cast \(subject) from \(cast.source.name) to \(cast.target.name): "
      + "\(range ?? "no finite element"), \(cast.roundedCount) of \(cast.elementCount) rounded"
    if cast.roundedCount > 0 { words += " by up to \(Readable.rounded(cast.errorMax))" }
    if cast.vanishedCount > 0 { words += ", \(cast.vanishedCount) became zero" }
    if cast.nanCount > 0 { words += ", \(cast.nanCount) NaN" }
    return words
  }

  private static func json(_ cast: CastReport) -> JSONValue {
    .object([
      ("tensor", .string(cast.name)), ("from", .string(cast.source.name)),
      ("to", .string(cast.target.name)), ("elements", .uint(cast.elementCount)),
      ("rounded", .uint(cast.roundedCount)), ("became_zero", .uint(cast.vanishedCount)),
      ("nan", .uint(cast.nanCount)), ("min", cast.range.map { .double($0.lowerBound) } ?? .null),
      ("max", cast.range.map { .double($0.upperBound) } ?? .null),
      ("max_error", .double(cast.errorMax)),
    ])
  }
}
