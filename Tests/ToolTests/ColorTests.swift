import CommandLineTool
import Foundation
import Testing

// Goal: colours help people at a terminal, and never reach a file, a pipe, or somebody who wants none.
// Method: the rule by itself, and real programs on a real (pseudo) terminal.
@Suite("Colours")
struct ColorTests {
  private static let escape = "\u{1B}["

  @Test(arguments: [
    (true, ["TERM": "xterm"], true), (true, ["TERM": "xterm", "NO_COLOR": ""], true),
    (true, ["TERM": "xterm", "NO_COLOR": "1"], false),
    (true, ["TERM": "xterm", "NO_COLOR": "0"], false), (true, ["TERM": "dumb"], false),
    (true, [:], false), (true, ["TERM": ""], false), (false, ["TERM": "xterm"], false),
  ])
  func whoWantsNoneGetsNone(isTerminal: Bool, variables: [String: String], isColored: Bool) {
    let colors = Colors(isTerminal: isTerminal) { variables[$0] }
    let text = colors.paint("damaged", .bad)
    #expect(text == (isColored ? "\u{1B}[31mdamaged\u{1B}[0m" : "damaged"))
    #expect(colors.paint("damaged", nil) == "damaged" && colors.paint("", .good).isEmpty)
  }

  @Test func onlyTheFirstWordIsPainted() {
    let colors = Colors(isTerminal: true) { $0 == "TERM" ? "xterm" : nil }
    #expect(colors.paintFirstWord(of: "ok  a b", .good) == "\u{1B}[32mok\u{1B}[0m  a b")
    #expect(colors.paintFirstWord(of: "ok", .good) == "\u{1B}[32mok\u{1B}[0m")
    #expect(colors.paintFirstWord(of: "ok  a", nil) == "ok  a")
  }

  // The terminal is made by calls of Linux.
  #if os(Linux)
    @Test func programsColorATerminalAndNothingElse() throws {
      try StoreFixture.with(3) { fixture in
        let tool = try ToolProcess.path(of: "ckpt")
        let commands: [(command: [String], painted: String)] = [
          ([try ToolProcess.path(of: "ckpt-verify"), fixture.directory], "\u{1B}[32mok\u{1B}[0m"),
          (
            [tool, "prune", fixture.directory, "--keep-last", "1", "--dry-run"],
            "\u{1B}[32mkeep\u{1B}[0m"
          ),
          ([tool, "diff", fixture.paths[0], fixture.paths[1]], "\u{1B}[33m"),
          ([tool, "doctor", fixture.directory], "\u{1B}[32myes\u{1B}[0m"),
        ]
        for (command, painted) in commands {
          // Whatever the tests' own environment says.
          let plain = try ToolProcess.run(
            ["/usr/bin/env", "-u", "NO_COLOR", "TERM=xterm"] + command)
          #expect(!(plain.output + plain.error).contains(Self.escape))
          let terminal = try PseudoTerminal.run(command)
          #expect(terminal.status == plain.status)
          #expect(terminal.text.contains(painted), "\(command): \(terminal.text)")
          let unwanted = try PseudoTerminal.run(command, environment: ["NO_COLOR": "1"])
          #expect(!unwanted.text.contains(Self.escape))
          let words = terminal.text.replacing(#/\u{1B}\[[0-9]+m/#, with: "")
          // How long an fsync takes and what is free differ from run to run.
          if !command.contains("doctor") { #expect(words == unwanted.text) }
        }
        // Programs that read JSON at a terminal get JSON.
        let json = try PseudoTerminal.run([tool, "ls", fixture.directory, "--json"])
        #expect(json.status == 0 && !json.text.contains(Self.escape))
      }
    }

    @Test func damageIsRed() throws {
      try StoreFixture.with(2) { fixture in
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: fixture.paths[1]))
        try file.truncate(atOffset: 100)
        try file.close()
        let result = try PseudoTerminal.run([
          try ToolProcess.path(of: "ckpt-verify"), fixture.directory,
        ])
        #expect(result.status == 1 && result.text.contains("\u{1B}[31mdamaged\u{1B}[0m"))
        let list = try PseudoTerminal.run([
          try ToolProcess.path(of: "ckpt"), "ls", fixture.directory,
        ])
        #expect(list.text.contains("\u{1B}[31mcorrupted\u{1B}[0m"))
      }
    }
  #endif
}
