import Testing

@Suite("Tidiness of the sources")
struct TidyTests {
  @Test(arguments: Rule.all)
  func sourcesKeep(rule: Rule) throws {
    let files = try rule.folders.flatMap { try SourceTree.swiftFiles(in: $0) }
    #expect(!files.isEmpty)
    let findings = files.flatMap { rule.findings(in: $0) }
    #expect(findings == [], "\(rule)")
  }

  @Test(arguments: Rule.all)
  func exampleBreaks(rule: Rule) {
    let file = SourceFile(path: "Sources/Example/Example.swift", text: rule.example)
    #expect(!rule.findings(in: file).isEmpty, "\(rule)")
  }

  @Test(arguments: Rule.all)
  func exceptionsAreStillNeeded(rule: Rule) throws {
    for path in rule.exceptions {
      let findings = rule.find(try SourceTree.file(path))
      #expect(!findings.isEmpty, "\(path) keeps the rule by now")
    }
  }

  @Test func commentsAndTextsAreNoCode() {
    let text = """
      let a = "try! \\(b ? "fatalError(" : c(d)) e" // try!
      /* try!
         fatalError( */ let f = #"g"#
      """
    let file = SourceFile(path: "Example.swift", text: text)
    #expect(file.code.count == 3)
    #expect(!file.code.joined().contains("try!"))
    #expect(!file.code.joined().contains("fatalError"))
    #expect(file.code[0].contains("b ? \"\" : c(d)"))
    #expect(file.code[2].contains("let f"))
  }

  @Test func functionsAreMeasuredFromNameToClosingBracket() {
    let text = """
      protocol P {
        func requirement(
          a: Int
        ) -> Int
        init()
      }
      struct S: P {
        init() {}
        func requirement(a: Int) -> Int {
          [a].map { $0 + 1 }[0]
        }
      }
      """
    let functions = Rule.functions(in: SourceFile(path: "Example.swift", text: text))
    #expect(functions.map(\.line) == [8, 9])
    #expect(functions.map(\.lineCount) == [1, 3])
  }
}
