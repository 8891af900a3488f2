import Foundation
import Testing

// Goal: manual pages and completions are made of what `--help` says, and the programs that read them take
// them.
@Suite("Manual pages and completions")
struct ManualTests {
  private static let tools = ["ckpt", "ckpt-verify", "ckpt-migrate"]

  private func run(_ tool: String, _ arguments: String...) throws -> ToolResult {
    try ToolProcess.run([try ToolProcess.path(of: tool)] + arguments)
  }

  private func isThere(_ program: String) -> Bool {
    FileManager.default.isExecutableFile(atPath: program)
  }

  @Test(arguments: tools) func aPageHasWhatTheHelpHas(tool: String) throws {
    let page = try run(tool, "--man")
    #expect(page.status == 0 && page.error.isEmpty)
    #expect(page.output.hasPrefix(".TH \"\(tool.uppercased())\" 1 "))
    let help = try run(tool, "--help").output
    let plain = page.output.replacing("\\-", with: "-")
    for line in help.split(separator: "\n") where line.hasPrefix("  ") {
      #expect(plain.contains(line.drop { $0 == " " }), "\(line)")
    }
    for heading in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
      #expect(plain.contains(heading + "\n"))
    }
    guard isThere("/usr/bin/groff") else { return }
    try withTemporaryDirectory { directory in
      let path = directory + "/page.1"
      try Data(page.output.utf8).write(to: URL(filePath: path))
      let shown = try ToolProcess.run(["/usr/bin/groff", "-man", "-Tutf8", "-ww", path])
      #expect(shown.status == 0 && shown.error.isEmpty, "\(shown.error)")
    }
  }

  /// What bash offers for a line whose last word is being typed.
  private func offers(_ tool: String, _ line: String...) throws -> [String] {
    let script = """
      source /dev/stdin <<< "$1"; shift
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      "_${1//-/_}"; printf '%s\\n' "${COMPREPLY[@]}"
      """
    let completion = try run(tool, "--completion", "bash").output
    let result = try ToolProcess.run(
      ["/bin/bash", "-c", script, "bash", completion, tool] + line)
    #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
    return result.lines
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/bash")))
  func bashOffersCommandsAndOptions() throws {
    #expect(try offers("ckpt", "pi") == ["pin"])
    #expect(try offers("ckpt", "").contains("ls"))
    #expect(try offers("ckpt", "ls", "--j") == ["--json"])
    #expect(try offers("ckpt", "pin", "--j") == [])
    // Files are the shell's own business.
    #expect(try offers("ckpt", "ls", "") == [])
    #expect(try offers("ckpt-verify", "a", "--st") == ["--stored"])
    #expect(try offers("ckpt-migrate", "--dr") == ["--drop", "--dry-run"])
    #expect(try offers("ckpt-migrate", "") == [])
  }

  @Test(arguments: tools) func zshTakesItsCompletion(tool: String) throws {
    let result = try run(tool, "--completion", "zsh")
    #expect(result.status == 0 && result.output.hasPrefix("#compdef \(tool)\n"))
    #expect(result.output.contains("--help[Print this.]"))
    guard isThere("/usr/bin/zsh") else { return }
    try withTemporaryDirectory { directory in
      let path = directory + "/_tool"
      try Data(result.output.utf8).write(to: URL(filePath: path))
      let checked = try ToolProcess.run(["/usr/bin/zsh", "-n", path])
      #expect(checked.status == 0 && checked.error.isEmpty, "\(checked.error)")
    }
  }

  @Test func otherShellsAreRefusedByName() throws {
    let result = try run("ckpt", "--completion", "fish")
    #expect(result.status == 64 && result.error.contains("'bash' and one for 'zsh'"))
    #expect(try run("ckpt", "ls", "--man").status == 64)
  }
}
