import Foundation

/// One text file of the repository.
struct SourceFile: Sendable {
  /// From the root of the repository.
  var path: String
  var text: String
  /// Every line as it stands.
  var lines: [String]
  /// Every line without comments and without what stands inside string literals.
  var code: [String]

  init(path: String, text: String) {
    self.path = path
    self.text = text
    lines = text.components(separatedBy: "\n")
    if lines.last == "" { lines.removeLast() }
    var scanner = CodeScanner()
    code = scanner.code(of: text).components(separatedBy: "\n")
  }

  var name: String { String(path.split(separator: "/").last ?? "") }
}

/// What a rule found, at a place a person can go to.
struct Finding: Hashable, CustomStringConvertible {
  var path: String
  var line: Int
  var what: String

  var description: String { "\(path):\(line): \(what)" }
}

/// The repository this file belongs to.
enum SourceTree {
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../..").standardizedFileURL

  /// Every Swift file below a folder.
  static func swiftFiles(in folder: String) throws -> [SourceFile] {
    try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
      .filter { $0.hasSuffix(".swift") }.sorted()
      .map { try file("\(folder)/\($0)") }
  }

  static func file(_ path: String) throws -> SourceFile {
    SourceFile(
      path: path, text: try String(contentsOf: root.appending(path: path), encoding: .utf8))
  }
}

/// Blanks out comments and the contents of string literals, and keeps every line where it is.
struct CodeScanner {
  private enum Context: Equatable {
    /// Code; in an interpolation, `depth` counts the parentheses that are open.
    case code(depth: Int)
    case text(delimiter: String)
    case lineComment
    case blockComment
  }

  private var contexts: [Context] = [.code(depth: 0)]
  private var characters: [Character] = []
  private var index = 0
  private var output = ""

  mutating func code(of text: String) -> String {
    characters = Array(text)
    while index < characters.count { step() }
    return output
  }

  private func isNext(_ text: String) -> Bool {
    index + text.count <= characters.count
      && characters[index..<index + text.count].elementsEqual(text)
  }

  private mutating func skip(_ count: Int, writing replacement: String = "") {
    index += count
    output += replacement
  }

  private mutating func step() {
    switch contexts[contexts.count - 1] {
    case .code(let depth): stepInCode(depth)
    case .text(let delimiter): stepInText(delimiter)
    case .lineComment:
      if isNext("\n") { contexts.removeLast() } else { skip(1) }
    case .blockComment:
      if isNext("*/") {
        contexts.removeLast()
        skip(2)
      } else {
        skip(1, writing: characters[index] == "\n" ? "\n" : "")
      }
    }
  }

  private mutating func stepInCode(_ depth: Int) {
    for (opening, context) in [
      ("//", Context.lineComment), ("/*", .blockComment),
      ("\"\"\"", .text(delimiter: "\"\"\"")), ("\"", .text(delimiter: "\"")),
    ] where isNext(opening) {
      contexts.append(context)
      skip(opening.count, writing: opening.hasPrefix("/") ? "" : opening)
      return
    }
    if contexts.count > 1, isNext("(") || isNext(")") {
      let inner = depth + (isNext("(") ? 1 : -1)
      contexts[contexts.count - 1] = .code(depth: inner)
      if inner == 0 {
        contexts.removeLast()
        skip(1)
        return
      }
    }
    skip(1, writing: String(characters[index]))
  }

  private mutating func stepInText(_ delimiter: String) {
    if isNext(delimiter) {
      contexts.removeLast()
      skip(delimiter.count, writing: delimiter)
    } else if isNext("\\(") {
      contexts.append(.code(depth: 1))
      skip(2)
    } else if isNext("\\") {
      skip(2)
    } else {
      skip(1, writing: characters[index] == "\n" ? "\n" : "")
    }
  }
}
