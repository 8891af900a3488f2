/// What is looked for in a source file, and a text that must be found wanting.
///
/// The example keeps each rule honest: a rule that finds nothing in it has stopped working.
struct Rule: Sendable, CustomStringConvertible {
  var description: String
  var folders: [String] = ["Sources", "Tests"]
  /// Files that may break the rule, each for a reason that stands beside it.
  var exceptions: Set<String> = []
  var example: String
  var find: @Sendable (SourceFile) -> [Finding]

  func findings(in file: SourceFile) -> [Finding] {
    exceptions.contains(file.path) ? [] : find(file)
  }
}

extension Rule {
  /// Library targets that stay free of Foundation.
  private static let foundationFree = [
    "CheckpointFormat", "CheckpointCodecs", "CheckpointStorage", "CheckpointEngine",
  ]

  static let all: [Rule] = [
    fileLength(600, in: "Sources"), fileLength(800, in: "Tests"), functionLength(70),
    code("no forced try", forbidding: ["try!"]),
    code("no trap that says nothing", forbidding: ["fatalError("]),
    openQuestions, uncheckedSendable, unsafeHasItsReason,
    Rule(
      description: "arithmetic in decoders notices overflow",
      folders: ["Sources/CheckpointFormat"],
      exceptions: [
        "Sources/CheckpointFormat/Bytes/CRC32.swift"  // zlib's wider type
      ],
      example: "let end = offset &+ count"
    ) { file in
      occurrences(
        of: ["&+", "&-", "&*", "&<<", "&>>", "truncatingIfNeeded", "clamping:"], in: file)
    },
    Rule(
      description: "the library below CheckpointTraining does not import Foundation",
      folders: foundationFree.map { "Sources/\($0)" }, example: "internal import Foundation"
    ) { file in
      occurrences(of: ["import Foundation"], in: file)
    },
  ]

  private static func code(_ description: String, forbidding words: [String]) -> Rule {
    Rule(description: description, example: words[0]) { occurrences(of: words, in: $0) }
  }

  /// Where words stand in code, outside comments and texts.
  private static func occurrences(of words: [String], in file: SourceFile) -> [Finding] {
    zip(1..., file.code).flatMap { number, line in
      words.filter { line.contains($0) }.map {
        Finding(path: file.path, line: number, what: "`\($0)`")
      }
    }
  }

  private static func fileLength(_ limit: Int, in folder: String) -> Rule {
    Rule(
      description: "files in \(folder) have at most \(limit) lines", folders: [folder],
      example: String(repeating: "\n", count: limit + 1)
    ) { file in
      file.lines.count <= limit
        ? [] : [Finding(path: file.path, line: limit, what: "\(file.lines.count) lines")]
    }
  }

  private static func functionLength(_ limit: Int) -> Rule {
    Rule(
      description: "functions have at most \(limit) lines",
      example: "func long() {" + String(repeating: "\n", count: limit) + "}"
    ) { file in
      functions(in: file).filter { $0.lineCount > limit }.map {
        Finding(path: file.path, line: $0.line, what: "a function of \($0.lineCount) lines")
      }
    }
  }

  private static let openQuestions: Rule = {
    // Put together, so that this file does not find itself.
    let words = ["TO" + "DO", "FIX" + "ME"]
    return Rule(description: "no open questions in the code", example: "// \(words[0]): later") {
      file in
      zip(1..., file.lines).filter { _, line in words.contains { line.contains($0) } }
        .map { Finding(path: file.path, line: $0.0, what: "an open question") }
    }
  }()

  /// Where the compiler's word on data races may be overruled.
  private static let uncheckedSendableFiles: Set<String> = [
    "Sources/CheckpointStorage/Job.swift", "Sources/CheckpointStorage/JobQueue.swift",
    "Sources/CheckpointStorage/LendingPool.swift",
    "Sources/CheckpointStorage/ParallelLoop.swift", "Sources/CheckpointStorage/Protected.swift",
    "Tests/CheckpointStorageTests/Counters.swift",
    "Tests/CheckpointEngineTests/ReadingTests.swift",
    "Tests/HowToTests/PrefetchingLoaders.swift", "Tests/HowToTests/Watching.swift",
  ]

  private static let uncheckedSendable = Rule(
    description: "@unchecked Sendable stands in listed files only, with its reason",
    example: "final class Box: @unchecked Sendable {}"
  ) { file in
    zip(file.code.indices, file.code).filter { $0.1.contains("@unchecked") }.compactMap {
      index, _ in
      let hasReason = file.lines[max(0, index - 8)...index].contains { $0.contains("SAFETY") }
      let isListed = uncheckedSendableFiles.contains(file.path)
      return isListed && hasReason
        ? nil : Finding(path: file.path, line: index + 1, what: "`@unchecked Sendable`")
    }
  }

  private static let unsafeHasItsReason = Rule(
    description: "a file with unsafe code says why it is safe", folders: ["Sources"],
    example: "let first = unsafe buffer[0]"
  ) { file in
    guard !file.text.contains("SAFETY:") else { return [] }
    return zip(1..., file.code).filter { $0.1.contains("unsafe ") }
      .map { Finding(path: file.path, line: $0.0, what: "`unsafe` without a reason") }
  }
}

extension Rule {
  /// Functions and initialisers with a body, by counting brackets.
  static func functions(in file: SourceFile) -> [(line: Int, lineCount: Int)] {
    file.code.indices.compactMap { start in
      guard file.code[start].contains(/(^|\s)(func\s|init[?(<]|deinit\b)/),
        let end = bodyEnd(in: file.code[start...])
      else { return nil }
      return (start + 1, end - start + 1)
    }
  }

  /// The line of the bracket that closes the body; nil for a requirement of a protocol.
  private static func bodyEnd(in code: ArraySlice<String>) -> Int? {
    var parentheses = 0
    var braces = 0
    for (index, line) in zip(code.indices, code) {
      let isNextDeclaration =
        index > code.startIndex && braces == 0 && parentheses == 0
        && (line.allSatisfy(\.isWhitespace) || line.contains(/^\s*(\w+ )*(func|var|init|case)\b/))
      if isNextDeclaration { return nil }
      for character in line {
        switch character {
        case "(", "[": parentheses += 1
        case ")", "]": parentheses -= 1
        case "{" where braces > 0 || parentheses == 0: braces += 1
        case "}" where braces == 0 && parentheses == 0: return nil
        case "}" where braces > 0:
          braces -= 1
          if braces == 0 { return index }
        default: break
        }
      }
    }
    return nil
  }
}
