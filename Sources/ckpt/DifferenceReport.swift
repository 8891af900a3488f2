internal import CheckpointEngine
internal import CommandLineTool

/// What `ckpt diff` prints.
struct DifferenceReport {
  let left: CheckpointReader
  let right: CheckpointReader
  let difference: CheckpointDifference
  /// Whether nothing but the states is told, and nothing was measured.
  let isExact: Bool
  /// Whether only some tensors were compared.
  let isPart: Bool

  private static let indent = "  "

  // MARK: For people

  /// At most `limit` lines of each kind.
  func text(limit: Int) -> [String] {
    // What follows is as many lines as differ: two paths in front tell which is which.
    var lines: [String] = []
    if !difference.isSameState || !isExact { lines += heads }
    lines += section("only in a", descriptions { $0.right == nil ? $0.left : nil }, limit)
    lines += section("only in b", descriptions { $0.left == nil ? $0.right : nil }, limit)
    lines += section("of another dtype or shape", redescribed, limit)
    lines += changed(limit)
    lines += section("tied", difference.ties.map(sentence), limit)
    lines += section("values of the state", values(difference.stateValues), limit)
    if !isExact {
      lines += section("no part of the state", values(difference.otherValues), limit)
    }
    let tone: Colors.Tone = difference.isSameState ? .good : .caution
    return lines + (lines.isEmpty ? [] : [""]) + [Colors.output.paint(verdict, tone)]
  }

  private var heads: [String] {
    var table = TextTable([.left, .left, .right, .left])
    for (label, reader) in [("a", left), ("b", right)] {
      table.append([
        label, escaped(reader.path), "step \(reader.header.step)",
        Readable.time(reader.header.savedAt),
      ])
    }
    return table.lines
  }

  private func section(_ title: String, _ lines: [String], _ limit: Int) -> [String] {
    guard !lines.isEmpty else { return [] }
    let rest = lines.count - limit
    let shown = lines.prefix(limit).map { Self.indent + $0 }
    return ["", title] + shown + (rest > 0 ? [Self.indent + "... and \(rest) more"] : [])
  }

  private func descriptions(
    _ side: (CheckpointDifference.Pair<TensorDescriptor>) -> TensorDescriptor?
  ) -> [String] {
    var table = TextTable([.left, .left, .left])
    for case let descriptor? in difference.tensors.map({ side($0.descriptor) }) {
      table.append([escaped(descriptor.name), descriptor.dtype.name, "\(descriptor.shape)"])
    }
    return table.lines
  }

  private var redescribed: [String] {
    var table = TextTable([.left, .left])
    for tensor in difference.tensors where tensor.isRedescribed {
      guard let (one, other) = tensor.descriptor.both else { continue }
      table.append([
        escaped(tensor.name),
        "\(one.dtype.name) \(one.shape) -> \(other.dtype.name) \(other.shape)",
      ])
    }
    return table.lines
  }

  private func changed(_ limit: Int) -> [String] {
    let tensors = difference.tensors.filter { $0.descriptor.both != nil && !$0.isRedescribed }
    guard !tensors.isEmpty else { return [] }
    let title =
      "changed: \(tensors.count) of \(Readable.count(difference.comparedTensorCount, "tensor"))"
    let names = tensors.map { tensor in
      escaped(tensor.name)
        + (tensor.otherNames.isEmpty ? "" : " (and \(tensor.otherNames.count) tied)")
    }
    guard !isExact else { return section(title, names, limit) }
    var table = TextTable([.left] + Array(repeating: .right, count: 5))
    let hasOther = tensors.contains { ($0.elements?.notFiniteCount ?? 0) > 0 }
    let titles = ["changed", "max abs", "max rel", "max ulp", hasOther ? "not finite" : ""]
    let tails = tensors.prefix(limit).map(measures)
    let width = Self.nameWidth(beside: tails + [titles])
    table.append(["name"] + titles)
    for (name, tail) in zip(names, tails) {
      table.append([width.map { name.shortened(to: $0, at: .middle) } ?? name] + tail)
    }
    let rest = tensors.count - tails.count
    return ["", title] + table.lines.map { Self.indent + $0 }
      + (rest > 0 ? [Self.indent + "... and \(rest) more"] : [])
  }

  private func measures(_ tensor: CheckpointDifference.Tensor) -> [String] {
    guard let elements = tensor.elements, let descriptor = tensor.descriptor.left else { return [] }
    let count = descriptor.shape.reduce(1, *)
    return [
      Readable.percent(elements.changedCount, of: UInt64(count)),
      elements.absoluteMax.map(Readable.rounded) ?? "-",
      elements.relativeMax.map(Readable.rounded) ?? "-", elements.stepMax.map { "\($0)" } ?? "-",
      elements.notFiniteCount > 0 ? "\(elements.notFiniteCount)" : "",
    ]
  }

  private static func nameWidth(beside tails: [[String]]) -> Int? {
    guard let room = StandardStreams.outputColumnCount else { return nil }
    let widths = (0..<5).map { column in
      tails.map { column < $0.count ? $0[column].displayWidth : 0 }.max() ?? 0
    }
    return max(16, room - indent.count - widths.reduce(0) { $0 + ($1 > 0 ? $1 + 2 : 0) })
  }

  private func sentence(_ tie: CheckpointDifference.Tie) -> String {
    "\(escaped(tie.name)) and \(escaped(tie.other)) in \(tie.isTiedOnTheLeft ? "a" : "b") only"
  }

  private func values(_ values: [CheckpointDifference.Value]) -> [String] {
    let rows = values.flatMap(Self.rows)
    let width = rows.map(\.name.displayWidth).max() ?? 0
    // Room for both sides and what stands between them.
    let room = StandardStreams.outputColumnCount.map { max(16, ($0 - width - 18) / 2) }
    var table = TextTable([.left, .left])
    for row in rows { table.append([row.name, Self.text(row.value, room)]) }
    return table.lines
  }

  /// A value by its name; of two JSON objects each member that differs.
  private static func rows(
    _ value: CheckpointDifference.Value
  ) -> [(name: String, value: CheckpointDifference.Pair<MetadataValue>)] {
    var name = value.name.isEmpty ? "(whole state)" : escaped(value.name)
    if value.domain == .stateVersion { name = "version of " + name }
    guard case (.json(let one), .json(let other))? = value.value.both,
      let left = JSONMembers(one), let right = JSONMembers(other)
    else { return [(name, value.value)] }
    let members = left.differences(from: right).map { member in
      (
        name: "\(name).\(escaped(member.name))",
        value: CheckpointDifference.Pair(
          left: member.left.map { MetadataValue.json($0) },
          right: member.right.map { MetadataValue.json($0) })
      )
    }
    // Two texts may stand for one object.
    return members.isEmpty ? [(name, value.value)] : members
  }

  /// Both sides, each cut to `room` columns.
  private static func text(
    _ pair: CheckpointDifference.Pair<MetadataValue>, _ room: Int?
  ) -> String {
    func text(_ value: MetadataValue) -> String {
      let text = escaped(value.text)
      return room.map { text.shortened(to: $0, at: .end) } ?? text
    }
    switch (pair.left, pair.right) {
    case (let one?, nil): return "\(text(one)), in a only"
    case (nil, let other?): return "\(text(other)), in b only"
    case (let one?, let other?):
      let (mine, others) = (text(one), text(other))
      // What differs must not look the same: another type, the payload of a NaN, or what is cut off.
      guard mine == others else { return "\(mine) -> \(others)" }
      return "\(mine) (\(one.detail)) -> \(others) (\(other.detail))"
    case (nil, nil): return ""
    }
  }

  private var verdict: String {
    let what = isPart ? "The selected tensors" : "The states"
    let counted = Readable.count(difference.comparedTensorCount, "tensor")
    guard !difference.isSameState else {
      return "\(what) are the same, bit for bit: \(isPart ? "" : "step \(left.header.step), ")"
        + "\(counted), \(Readable.size(difference.comparedByteCount))."
    }
    let parts = [
      difference.steps == nil ? nil : "the step",
      count(difference.tensors.count, "tensor"), count(difference.ties.count, "tie"),
      count(difference.stateValues.count, "value"),
    ].compactMap(\.self)
    return "\(what) differ: \(parts.joined(separator: ", "))."
  }

  private func count(_ number: Int, _ noun: String) -> String? {
    number == 0 ? nil : Readable.count(number, noun)
  }
}

extension CheckpointDifference.Pair {
  /// Both sides, if there are two.
  var both: (Value, Value)? {
    guard let left, let right else { return nil }
    return (left, right)
  }
}

extension CheckpointDifference.Tensor {
  /// Whether dtype or shape differ, so that the values cannot be compared.
  var isRedescribed: Bool {
    guard let (one, other) = descriptor.both else { return false }
    return one.dtype != other.dtype || one.shape != other.shape
  }
}

extension MetadataValue {
  /// What tells apart values that look the same.
  fileprivate var detail: String {
    guard case .float64(let bits) = self else { return typeName }
    return "bits \(String(bits, radix: 16))"
  }
}
