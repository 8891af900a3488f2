/// Why a text cannot be trained on.
package enum CorpusError: Error, Equatable, CustomStringConvertible {
  /// A file or directory cannot be read.
  case unreadable(path: String)
  /// A file is not valid UTF-8.
  case notUTF8(path: String)
  /// A directory holds no `.md` or `.txt` file.
  case noText(path: String)
  /// The text is shorter than the model needs.
  case tooShort(characterCount: Int, needed: Int)

  /// What happened and what to do about it.
  package var description: String {
    switch self {
    case .unreadable(let path):
      "The data at \(path) cannot be read. Give a text file or a directory of .md and .txt files."
    case .notUTF8(let path):
      "The file \(path) is not valid UTF-8. Convert it or leave it out."
    case .noText(let path):
      "The directory \(path) holds no .md or .txt file. Give a directory that does."
    case .tooShort(let characterCount, let needed):
      "The text has \(characterCount) characters and this block size needs at least \(needed). "
        + "Give more text or a smaller block size."
    }
  }
}
