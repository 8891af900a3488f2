internal import CheckpointEngine
internal import CommandLineTool

/// What `ckpt show` prints for people.
enum CheckpointDescription {
  static func text(
    _ checkpoint: NamedCheckpoint, _ tensors: [TensorSummary], _ statistics: [TensorStatistics]?
  ) -> [String] {
    let metadata = checkpoint.reader.metadata
    let environment = metadata.entries(of: .environment)
    let contract = environment.compactMap { entry in
      entry.name.withoutPrefix(contractPrefix).map { (name: $0, value: entry.value) }
    }
    let others = environment.filter { $0.name.withoutPrefix(contractPrefix) == nil }
    return [escaped(checkpoint.reader.path)] + header(checkpoint)
      + values("metrics", metadata.entries(of: .metric))
      + values("state values", metadata.entries(of: .state))
      + values("state versions", metadata.entries(of: .stateVersion))
      + values("contract: what a resume compares", contract)
      + values("environment", others)
      + table(of: tensors, checkpoint.reader)
      + (statistics.map { table(of: $0, tensors) } ?? [])
  }

  /// Of what `ResumeContract` keeps with each checkpoint.
  private static let contractPrefix = "contract/"
  private static let indent = "  "

  private static func header(_ checkpoint: NamedCheckpoint) -> [String] {
    let (reader, entry) = (checkpoint.reader, checkpoint.entry)
    let header = reader.header
    var table = TextTable([.left, .left], indent: indent)
    table.append(["step", "\(header.step)"])
    table.append(["generation", "\(header.generation)"])
    table.append(["saved", Readable.time(header.savedAt) + " UTC"])
    table.append([
      "written by", "\(escaped(header.writer)), format version \(header.formatVersion.rawValue)",
    ])
    table.append(["size", sizes(reader)])
    table.append(["checkpoint", "\(header.checkpointIdentifier)"])
    table.append(["run", "\(header.runIdentifier)"])
    table.append([
      "parent", header.parentIdentifier.map { "\($0)" } ?? "none: the first of its run",
    ])
    if !header.branchPoints.isEmpty {
      let shown = header.branchPoints.suffix(8).map { "step \($0.step) (g\($0.generation))" }
      let isCut = shown.count < header.branchPoints.count
      table.append(["resumed at", (isCut ? ["..."] : []).joined() + shown.joined(separator: ", ")])
    }
    if let reason = reader.metadata.unhealthyReason {
      let text = "unhealthy: " + escaped(reason)
      table.append(["health", Colors.output.paint(text, .caution)])
    }
    if let reason = reader.metadata.emergencyReason {
      table.append(["emergency", Colors.output.paint(escaped(reason), .caution)])
    }
    if let entry {
      if entry.role == .damaged {
        table.append(["set aside", Colors.output.paint("as damaged", .bad)])
      }
      if let problem = entry.problem {
        table.append(["problem", Colors.output.paint("\(problem)", .bad)])
      }
      table.append(["pinned", entry.isPinned ? "yes" : "no"])
    }
    return table.lines
  }

  private static func sizes(_ reader: CheckpointReader) -> String {
    let (file, state) = (reader.byteCount, reader.stateByteCount)
    // Of the few bytes of a small state it would tell only what a file has besides.
    let share = state > 0 && file / 2 <= state ? " (\(Readable.percent(file, of: state)))" : ""
    return "\(Readable.size(file)) for \(Readable.size(state)) of tensors\(share)"
  }

  private static func values(
    _ title: String, _ entries: [(name: String, value: MetadataValue)]
  ) -> [String] {
    guard !entries.isEmpty else { return [] }
    let room = StandardStreams.outputColumnCount
    var table = TextTable([.left, .left], indent: indent)
    let width = entries.map { escaped($0.name).displayWidth }.max() ?? 0
    for (name, value) in entries {
      let name = name.isEmpty ? "(whole state)" : escaped(name)
      let text = escaped(value.text)
      table.append([
        name, room.map { text.shortened(to: max(20, $0 - width - 4), at: .end) } ?? text,
      ])
    }
    return ["", title] + table.lines
  }

  // MARK: Tensors

  private static func table(of tensors: [TensorSummary], _ reader: CheckpointReader) -> [String] {
    let shown =
      tensors.count == reader.tensorCount
      ? "\(tensors.count)"
      : "\(tensors.count) of \(reader.tensorCount)"
    var table = TextTable([.left, .left, .left, .right, .right, .right], indent: indent)
    if !tensors.isEmpty { table.append(["name", "dtype", "shape", "size", "stored", ""]) }
    let names = tensors.map { escaped($0.descriptor.name) }
    let tails = tensors.map { tensor -> [String] in
      let size = Readable.size(tensor.byteCount)
      let descriptor = tensor.descriptor
      if tensor.aliasOf != nil {
        return [descriptor.dtype.name, "\(descriptor.shape)", size, "tied"]
      }
      return [
        descriptor.dtype.name, "\(descriptor.shape)", size, Readable.size(tensor.storedByteCount),
        Readable.percent(tensor.storedByteCount, of: tensor.byteCount),
      ]
    }
    let width = nameWidth(beside: tails)
    for (name, tail) in zip(names, tails) {
      table.append([width.map { name.shortened(to: $0, at: .middle) } ?? name] + tail)
    }
    let ties = tensors.compactMap { tensor in
      tensor.aliasOf.map { "\(escaped(tensor.descriptor.name)) is tied to \(escaped($0))" }
    }
    return ["", "tensors: \(shown)"] + table.lines + ties.map { indent + $0 }
  }

  private static func table(
    of statistics: [TensorStatistics], _ tensors: [TensorSummary]
  ) -> [String] {
    var table = TextTable([.left] + Array(repeating: .right, count: 7), indent: indent)
    let titles = ["min", "max", "mean", "L2 norm", "NaN", "infinite", "zero"]
    let tails = statistics.map { one -> [String] in
      let counts = [one.nanCount, one.infinityCount, one.zeroCount]
      return [
        one.minimum?.text ?? "-", one.maximum?.text ?? "-",
        one.mean.map(Readable.rounded) ?? "-", Readable.rounded(one.norm),
      ] + counts.map { $0 == 0 ? "" : "\($0)" }
    }
    // A title alone would make a column of what is nowhere.
    let isUsed = titles.indices.map { column in tails.contains { !$0[column].isEmpty } }
    table.append(["name"] + titles.indices.map { isUsed[$0] ? titles[$0] : "" })
    let width = nameWidth(beside: tails + [titles.indices.map { isUsed[$0] ? titles[$0] : "" }])
    for (tensor, tail) in zip(tensors, tails) {
      let name = escaped(tensor.descriptor.name)
      table.append([width.map { name.shortened(to: $0, at: .middle) } ?? name] + tail)
    }
    return ["", "statistics"] + (tensors.isEmpty ? [] : table.lines)
  }

  /// The columns that the terminal leaves for names; nil if they need not be cut.
  private static func nameWidth(beside tails: [[String]]) -> Int? {
    guard let room = StandardStreams.outputColumnCount else { return nil }
    let columnCount = tails.map(\.count).max() ?? 0
    let widths = (0..<columnCount).map { column in
      tails.map { column < $0.count ? $0[column].displayWidth : 0 }.max() ?? 0
    }
    let taken = widths.reduce(0) { $0 + ($1 > 0 ? $1 + 2 : 0) }
    return max(16, room - indent.count - taken)
  }
}

extension String {
  /// What is behind a prefix, compared by bytes; nil if the text does not begin with it.
  fileprivate func withoutPrefix(_ prefix: String) -> String? {
    guard utf8.starts(with: prefix.utf8) else { return nil }
    return String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }
}

extension TensorStatistics.Number {
  fileprivate var text: String {
    switch self {
    case .signed(let value):
      value.magnitude < Self.wideMin ? "\(value)" : Readable.rounded(Double(value))
    case .unsigned(let value): value < Self.wideMin ? "\(value)" : Readable.rounded(Double(value))
    case .real(let value): Readable.rounded(value)
    }
  }

  /// Longer integers would make the column too wide; `--json` has all digits.
  private static let wideMin: UInt64 = 1_000_000_000
}
