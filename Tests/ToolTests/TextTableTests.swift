import CommandLineTool
import Testing

@Suite("Columns")
struct TextTableTests {
  @Test func columnsAreAsWideAsTheirWidestText() {
    var table = TextTable([.left, .right, .right, .left], indent: "> ")
    table.append(["a", "1", "", "x"])
    table.append(["漢字", "1000", "", "y"])
    table.append(["e\u{301}t", "20"])
    #expect(table.lines == ["> a        1  x", "> 漢字  1000  y", "> e\u{301}t      20"])
  }

  @Test func namesAreCutToAWidth() {
    #expect("model/weight".shortened(to: 12, at: .middle) == "model/weight")
    #expect("model/weights".shortened(to: 12, at: .middle) == "mode...ights")
    #expect("model/weights".shortened(to: 12, at: .end) == "model/wei...")
    #expect("漢字漢字漢字".shortened(to: 8, at: .middle) == "漢...字")
  }
}
