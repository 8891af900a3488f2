import CommandLineTool
import Testing

@Suite("Progress line")
struct ProgressLineTests {
  private final class Screen {
    var written: [String] = []
    var now = ContinuousClock.now
  }

  private func line(_ screen: Screen, isShown: Bool = true, columns: Int = 80) -> ProgressLine {
    ProgressLine(
      isEnabled: isShown, write: { screen.written.append($0) }, columnCount: { columns },
      now: { screen.now })
  }

  @Test func lineSaysWhatIsDoneAndFitsTheTerminal() {
    let line = ProgressLine.text(
      "2/12 step-000001000.g000002.ckpt", done: 3 << 29, of: 3 << 30, columnCount: 79)
    #expect(line == "2/12 step-000001000.g000002.ckpt  [#######.......]  50%  1.5 of 3.0 GiB")
  }

  @Test(arguments: 0...120)
  func noWidthIsExceeded(columns: Int) {
    for total: UInt64 in [0, 1, 1023, 1 << 20, (1 << 30) - 1, .max] {
      for done in [0, total / 3, total] {
        let name = String(repeating: "名é", count: 40)
        let line = ProgressLine.text(name, done: done, of: total, columnCount: columns)
        let screen = Screen()
        let shown = self.line(screen, columns: columns)
        screen.now += .seconds(1)
        shown.update(line)
        #expect(screen.written.count == 1)
        let text = screen.written[0].dropFirst()
        #expect(text.utf8.count < max(1, columns))
        #expect(text.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        #expect(columns < 40 || line.unicodeScalars.count <= columns)
      }
    }
  }

  @Test func endOfALongLabelIsKept() {
    let line = ProgressLine.text(
      String(repeating: "x", count: 100) + "-g7.ckpt", done: 0, of: 4096, columnCount: 79)
    #expect(line.hasPrefix("...x") && line.contains("-g7.ckpt  ["))
    #expect(line.utf8.count == 79)
  }

  @Test func atMostTenDrawingsASecondAndNoneInTheFirstTenth() {
    let screen = Screen()
    let line = line(screen)
    for millisecond in 1...1000 {
      screen.now += .milliseconds(1)
      line.update("a")
      if millisecond < 100 { #expect(screen.written.isEmpty) }
    }
    #expect(screen.written.count == 10)
  }

  @Test func clearingLeavesNothingOfTheLongestLine() {
    let screen = Screen()
    let line = line(screen)
    for label in ["a long label", "short"] {
      screen.now += .seconds(1)
      line.update(label)
    }
    line.clear()
    line.clear()
    // Played back on a terminal of one line.
    var cells: [Character] = []
    var column = 0
    for character in screen.written.joined() {
      if character == "\r" {
        column = 0
      } else {
        if column == cells.count { cells.append(" ") }
        cells[column] = character
        column += 1
      }
    }
    #expect(cells.allSatisfy { $0 == " " } && column == 0 && screen.written.count == 3)
  }

  @Test func nothingIsWrittenToWhatIsNoTerminal() {
    let screen = Screen()
    let line = line(screen, isShown: false)
    screen.now += .seconds(1)
    line.update("a")
    line.clear()
    #expect(screen.written.isEmpty)
  }
}
