#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Reads the text that a corpus is made of.
enum CorpusReader {
  /// The text at `path`: a file, or the `.md` and `.txt` files below a directory, in name order.
  static func text(at path: String) throws(CorpusError) -> String {
    guard let type = type(of: path) else { throw .unreadable(path: path) }
    guard type == .typeDirectory else { return try file(path) }
    var names: [String] = []
    try collect(path, prefix: "", into: &names)
    guard !names.isEmpty else { throw .noText(path: path) }
    // The order of bytes does not depend on the locale or on the file system.
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var text = ""
    for name in names { text += try file(path + "/" + name) }
    return text
  }

  /// Adds the relative names of the text files in a directory and below it.
  private static func collect(
    _ root: String, prefix: String, into names: inout [String]
  ) throws(CorpusError) {
    let directory = prefix.isEmpty ? root : root + "/" + prefix
    let entries: [String]
    do {
      entries = try FileManager.default.contentsOfDirectory(atPath: directory)
    } catch {
      throw .unreadable(path: directory)
    }
    // Hidden entries and links are left out: build folders and cycles hide behind them.
    for entry in entries where !entry.hasPrefix(".") {
      let name = prefix.isEmpty ? entry : prefix + "/" + entry
      switch type(of: root + "/" + name, followingLinks: false) {
      case .typeDirectory?:
        try collect(root, prefix: name, into: &names)
      case .typeRegular? where entry.hasSuffix(".md") || entry.hasSuffix(".txt"):
        names.append(name)
      default:
        continue
      }
    }
  }

  private static func type(of path: String, followingLinks: Bool = true) -> FileAttributeType? {
    var path = path
    if followingLinks { path = URL(filePath: path).resolvingSymlinksInPath().path }
    // An entry that cannot be examined counts as absent; reading it reports the error.
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return attributes?[.type] as? FileAttributeType
  }

  private static func file(_ path: String) throws(CorpusError) -> String {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .unreadable(path: path)
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw .notUTF8(path: path)
    }
    return text
  }
}
