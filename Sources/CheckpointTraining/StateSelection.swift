/// A part of a state, by the names of tensors and values.
///
/// A pattern is a path: `*` stands for any characters between two slashes, `**` for any number of whole
/// components, also none. `model/**` is all that was saved in the scope `model`, `**/bias` every bias.
public struct StateSelection: Hashable, Sendable {
  private var included: [[String]]
  private var excluded: [[String]] = []

  /// All of it.
  public static let everything = StateSelection(included: [["**"]])

  /// What matches one of the patterns.
  public static func matching(_ patterns: String...) -> StateSelection {
    StateSelection(included: patterns.map(Self.components))
  }

  /// The same without what matches one of the patterns.
  public func excluding(_ patterns: String...) -> StateSelection {
    var result = self
    result.excluded += patterns.map(Self.components)
    return result
  }

  /// Whether a tensor or value of this name belongs to it.
  public func contains(_ name: String) -> Bool {
    let components = Self.components(name)[...]
    func matches(_ patterns: [[String]]) -> Bool {
      patterns.contains { Self.matches(components, $0[...]) }
    }
    return matches(included) && !matches(excluded)
  }

  var isEverything: Bool { self == .everything }

  private static func components(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private static func matches(_ name: ArraySlice<String>, _ pattern: ArraySlice<String>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == "**" {
      return name.indices.contains { matches(name[$0...], pattern.dropFirst()) }
        || matches([], pattern.dropFirst())
    }
    guard let component = name.first, matches(Array(component.utf8)[...], Array(first.utf8)[...])
    else { return false }
    return matches(name.dropFirst(), pattern.dropFirst())
  }

  /// Compares one component; goes back to the last star only, so that no pattern takes long.
  private static func matches(_ text: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    var (place, rest) = (text.startIndex, pattern)
    var retry: (place: Int, rest: ArraySlice<UInt8>)?
    while true {
      if rest.first == UInt8(ascii: "*") {
        rest = rest.dropFirst()
        retry = (place, rest)
      } else if place < text.endIndex, rest.first == text[place] {
        place += 1
        rest = rest.dropFirst()
      } else if place == text.endIndex, rest.isEmpty {
        return true
      } else if let (start, after) = retry, start < text.endIndex {
        retry = (start + 1, after)
        (place, rest) = (start + 1, after)
      } else {
        return false
      }
    }
  }
}

/// What a restore of a part did.
public struct RestoreReport: Hashable, Sendable {
  /// Tensors and values that come from the checkpoint.
  public var restored: [String] = []
  /// What was asked for and is not in the checkpoint, or has another dtype, shape or type there: it is as
  /// the program had it.
  public var missing: [String] = []
  /// What was asked for, is in the checkpoint and not in the program, or differs in it.
  public var unexpected: [String] = []
  /// What was not asked for: it is as the program had it.
  public var left: [String] = []
}
