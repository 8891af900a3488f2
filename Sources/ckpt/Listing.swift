internal import CheckpointEngine
internal import CommandLineTool

/// The checkpoints of a store, newest first, with what is known of them.
struct Listing {
  private struct Row {
    let entry: StoreEntry
    var node: LineageNode?
    var metrics: [(name: String, value: Double)] = []
    var unhealthyReason: String?
    /// Why it cannot be read, as far as header and index tell.
    var problem: CheckpointError?
    /// The step of the checkpoint that its branch begins at, if it begins one.
    var origin: UInt64?
  }

  private let rows: [Row]
  private let tree: LineageTree

  var isEmpty: Bool { rows.isEmpty }
  /// Whether something could not be read, so that it cannot be told.
  var isIncomplete: Bool { rows.contains { $0.problem?.code == .unreadable } }

  init(of path: String) throws(CheckpointError) {
    let store = try CheckpointStore(path, for: .reading)
    let nodes = try store.lineage()
    var byName: [String: LineageNode] = [:]
    for node in nodes { byName[node.entry.name] = node }
    var branches: Set<Int> = []
    var origins: [String: UInt64] = [:]
    for node in nodes where branches.insert(node.branch).inserted {
      let origin = nodes.first { $0.entry.header?.checkpointIdentifier == node.ancestor }
      if node.ancestor != nil { origins[node.entry.name] = origin?.entry.step }
    }
    rows = try store.entries().map { entry in
      var row = Row(
        entry: entry, node: byName[entry.name], problem: entry.problem,
        origin: origins[entry.name])
      guard entry.problem == nil else { return row }
      do throws(CheckpointError) {
        let metadata = try store.open(entry).metadata
        row.metrics = metadata.metrics.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        row.unhealthyReason = metadata.unhealthyReason
      } catch {
        row.problem = error
      }
      return row
    }
    tree = LineageTree(rows.map(\.node))
  }

  /// A line for each checkpoint, in columns.
  var lines: [String] {
    let columns = rows.indices.map { number -> [String] in
      let entry = rows[number].entry
      return [
        tree.lines[number], "\(entry.step)", entry.generation.map { "g\($0)" } ?? "-",
        entry.header.map { Readable.time($0.savedAt) } ?? "-", Readable.size(entry.byteCount),
      ]
    }
    let widths = (0..<5).map { column in columns.map { $0[column].count }.max() ?? 0 }
    return rows.indices.map { number in
      let texts = (0..<5).map { column -> String in
        let text = columns[number][column]
        let space = String(repeating: " ", count: widths[column] - text.count)
        // The tree begins at the left; numbers end at the right.
        return column == 0 ? text + space : space + text
      }
      return (texts + [remarks(rows[number]).joined(separator: ", ")]).joined(separator: "  ")
    }
  }

  private func remarks(_ row: Row) -> [String] {
    var remarks = row.metrics.map { "\(escaped($0.name)) \(Readable.rounded($0.value))" }
    switch row.entry.role {
    case .candidate: break
    case .damaged: remarks.append(Colors.output.paint("set aside as damaged", .bad))
    case .emergency: remarks.append(Colors.output.paint("left by a run that failed", .caution))
    }
    if let problem = row.problem {
      remarks.append(Colors.output.paint("\(problem.code)", .bad))
    }
    if let reason = row.unhealthyReason {
      remarks.append(Colors.output.paint("unhealthy: \(escaped(reason))", .caution))
    }
    if row.entry.isPinned { remarks.append("pinned") }
    if let origin = row.origin { remarks.append("from step \(origin)") }
    return remarks
  }

  /// An object for each checkpoint.
  var json: [String] {
    rows.map { row in
      let header = row.entry.header
      let role: String =
        switch row.entry.role {
        case .candidate: "candidate"
        case .damaged: "damaged"
        case .emergency: "emergency"
        }
      return JSONValue.object([
        ("event", .string("checkpoint")), ("schema", .int(1)), ("path", .string(row.entry.path)),
        ("role", .string(role)), ("step", .uint(row.entry.step)),
        ("generation", row.entry.generation.map { .uint($0) } ?? .null),
        ("bytes", .uint(row.entry.byteCount)),
        ("saved_at_nanoseconds", header.map { .int($0.savedAt) } ?? .null),
        ("checkpoint_identifier", Self.text(header?.checkpointIdentifier)),
        ("run_identifier", Self.text(header?.runIdentifier)),
        ("parent_identifier", Self.text(header?.parentIdentifier)),
        ("ancestor_identifier", Self.text(row.node?.ancestor)),
        ("branch", row.node.map { .int(Int64($0.branch)) } ?? .null),
        ("leads_to_newest", .bool(row.node?.leadsToNewest ?? false)),
        ("pinned", .bool(row.entry.isPinned)),
        ("unhealthy", row.unhealthyReason.map { .string($0) } ?? .null),
        ("problem", row.problem.map { .string($0.message) } ?? .null),
        ("metrics", .object(row.metrics.map { ($0.name, .double($0.value)) })),
      ]).text
    }
  }

  private static func text(_ identifier: Identifier?) -> JSONValue {
    identifier.map { .string($0.description) } ?? .null
  }
}
