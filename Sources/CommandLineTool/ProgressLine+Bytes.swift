extension ProgressLine {
  /// At 80 columns this leaves the label room for a checkpoint's name and a count.
  private static let barWidth = 14

  /// What is being done, a bar, and how many bytes of how many are done; fits `columnCount`.
  package static func text(
    _ label: String, done: UInt64, of total: UInt64, columnCount: Int
  ) -> String {
    let fraction = total == 0 ? 1 : min(1, Double(done) / Double(total))
    let percent = padded("\(Int(fraction * 100))", 3) + "%"
    let filled = Int(fraction * Double(barWidth))
    let bar =
      String(repeating: "#", count: filled) + String(repeating: ".", count: barWidth - filled)
    let right = "[\(bar)] \(percent)  \(amount(done, of: total))"
    let roomForLabel = columnCount - right.utf8.count - 2
    guard roomForLabel >= 8 else { return percent }
    return shortened(label, to: roomForLabel) + "  " + right
  }

  /// `0.4 of 1.2 GiB`, as wide at the beginning as at the end.
  private static func amount(_ done: UInt64, of total: UInt64) -> String {
    let units: [(String, UInt64)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    let (unit, size) = units.first { total >= $0.1 } ?? ("bytes", 1)
    func text(_ value: UInt64) -> String {
      let tenths = UInt64((Double(value) / Double(size) * 10).rounded())
      return size == 1 ? "\(value)" : "\(tenths / 10).\(tenths % 10)"
    }
    let all = text(total)
    return "\(padded(text(done), all.utf8.count)) of \(all) \(unit)"
  }

  /// Names end with what tells them apart, so the beginning goes.
  private static func shortened(_ label: String, to count: Int) -> String {
    let scalars = label.unicodeScalars
    guard scalars.count > count else { return label }
    return "..." + String(scalars.suffix(count - 3))
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }
}
