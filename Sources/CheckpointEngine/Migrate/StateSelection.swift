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
  public static func matching(_ patterns: String...) -> StateSelection { matching(patterns) }

  /// What matches one of the patterns.
  public static func matching(_ patterns: [String]) -> StateSelection {
    StateSelection(included: patterns.map(Self.components))
  }

  /// The same without what matches one of the patterns.
  public func excluding(_ patterns: String...) -> StateSelection { excluding(patterns) }

  /// The same without what matches one of the patterns.
  public func excluding(_ patterns: [String]) -> StateSelection {
    var result = self
    result.excluded += patterns.map(Self.components)
    return result
  }

  /// Whether a tensor or value of this name belongs to it.
  public func contains(_ name: String) -> Bool {
    if isEverything { return true }
    let components = Self.components(name)[...]
    func matches(_ patterns: [[String]]) -> Bool {
      patterns.contains { pattern in
        Self.matches(components, pattern[...], any: "**", Self.matchesComponent)
      }
    }
    return matches(included) && !matches(excluded)
  }

  package var isEverything: Bool { self == .everything }

  private static func components(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private static func matchesComponent(_ component: String, _ pattern: String) -> Bool {
    matches(
      Array(component.utf8)[...], Array(pattern.utf8)[...], any: UInt8(ascii: "*"), ==)
  }

  /// Compares elements with a pattern in which `any` stands for any number of them.
  ///
  /// Goes back to the last of these only, so that no pattern takes long.
  private static func matches<Element: Equatable>(
    _ text: ArraySlice<Element>, _ pattern: ArraySlice<Element>, any: Element,
    _ isMatch: (Element, Element) -> Bool
  ) -> Bool {
    var (place, rest) = (text.startIndex, pattern)
    var retry: (place: Int, rest: ArraySlice<Element>)?
    while true {
      if rest.first == any {
        rest = rest.dropFirst()
        retry = (place, rest)
      } else if place < text.endIndex, let first = rest.first, isMatch(text[place], first) {
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

extension StateSelection: CustomStringConvertible {
  /// The patterns, as a person would write them.
  public var description: String {
    let patterns = included.map { $0.joined(separator: "/") }.joined(separator: ", ")
    let others = excluded.map { $0.joined(separator: "/") }.joined(separator: ", ")
    return patterns + (others.isEmpty ? "" : " without \(others)")
  }
}
