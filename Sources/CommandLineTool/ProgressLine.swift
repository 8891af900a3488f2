/// A line on standard error that is written over and over, to say how far a long piece of work is.
///
/// It appears only on a terminal, after a tenth of a second, at most ten times a second, and is
/// gone after ``clear()``. Not thread-safe.
package final class ProgressLine {
  /// Whether the line can be seen at all.
  package let isEnabled: Bool
  private let write: (String) -> Void
  private let columnCount: () -> Int
  private let now: () -> ContinuousClock.Instant
  private var lastDrawing: ContinuousClock.Instant
  private var drawnCount = 0

  /// A line on standard error; it shows nothing if that is no terminal.
  package convenience init() {
    self.init(
      isEnabled: StandardStreams.isErrorTerminal, write: StandardStreams.writeProgress,
      columnCount: { StandardStreams.errorColumnCount }, now: { ContinuousClock.now })
  }

  /// A line on what tests look at.
  package init(
    isEnabled: Bool, write: @escaping (String) -> Void, columnCount: @escaping () -> Int,
    now: @escaping () -> ContinuousClock.Instant
  ) {
    self.isEnabled = isEnabled
    self.write = write
    self.columnCount = columnCount
    self.now = now
    lastDrawing = now()
  }

  /// Shows `text`, cut to the terminal's width, if the last update was long enough ago.
  package func update(_ text: @autoclosure () -> String) { update { _ in text() } }

  /// Shows what `text` makes of the number of columns there are, if the last update was long
  /// enough ago.
  package func update(_ text: (_ columnCount: Int) -> String) {
    guard isEnabled, now() - lastDrawing >= .milliseconds(100) else { return }
    lastDrawing = now()
    // A character in the last column would make some terminals begin a new line.
    let limit = max(0, columnCount() - 1)
    // All ASCII, so that characters and columns are the same.
    let line = text(limit).unicodeScalars.prefix(limit)
      .map { (" "..."~").contains($0) ? Character($0) : "?" }
    write("\r" + String(line) + String(repeating: " ", count: max(0, drawnCount - line.count)))
    drawnCount = line.count
  }

  /// Removes the line; call it before anything else is printed, and at the end.
  package func clear() {
    guard drawnCount > 0 else { return }
    write("\r" + String(repeating: " ", count: drawnCount) + "\r")
    drawnCount = 0
  }
}
