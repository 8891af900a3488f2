/// One line on a terminal that is written over and over, at most ten times a second.
package final class ProgressLine {
  private let isShown: Bool
  private let clock = ContinuousClock()
  private var lastUpdate: ContinuousClock.Instant?
  private var isVisible = false

  /// A line on standard error; it shows nothing if that is no terminal.
  package init(isShown: Bool = StandardStreams.isErrorTerminal) { self.isShown = isShown }

  /// Whether the line can be seen at all.
  package var isEnabled: Bool { isShown }

  /// Shows `text` if the last update was long enough ago; cut to 79 columns.
  package func update(_ text: @autoclosure () -> String) {
    guard isShown else { return }
    let now = clock.now
    if let lastUpdate, now - lastUpdate < .milliseconds(100) { return }
    lastUpdate = now
    StandardStreams.writeProgress("\r\u{1B}[K" + text().prefix(79))
    isVisible = true
  }

  /// Removes the line, so that other text can be written.
  package func clear() {
    guard isVisible else { return }
    StandardStreams.writeProgress("\r\u{1B}[K")
    isVisible = false
  }

  /// A bar of 20 columns with the percentage.
  package static func bar(_ done: UInt64, of total: UInt64) -> String {
    let share = total == 0 ? 1 : Double(done) / Double(total)
    let filled = Int(share * 20)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled)
    return "[\(bar)] \(Int(share * 100))%"
  }
}
