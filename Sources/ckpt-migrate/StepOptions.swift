internal import CheckpointEngine
internal import CommandLineTool

/// Steps as the command line states them, in the order in which they stand there.
enum StepOptions {
  static let kinds: [String: OptionParser.Kind] = [
    "rename": .repeated, "cast": .repeated, "drop": .repeated, "reshape": .repeated,
    "split": .repeated, "merge": .repeated, "alias": .repeated, "add": .repeated,
  ]

  static func steps(_ options: OptionParser) throws(UsageError) -> [StateStep] {
    var steps: [StateStep] = []
    for (name, value) in options.inOrder where kinds[name] != nil {
      steps += Self.looking(try step(name, value ?? ""), for: value ?? "", name)
    }
    return steps
  }

  private static func step(_ option: String, _ value: String) throws(UsageError) -> StateStep {
    func pair(_ form: String) throws(UsageError) -> (String, String) {
      // The last one, since names may have signs of equality and what follows has none.
      guard let equals = value.lastIndex(of: "="), equals != value.startIndex else {
        throw UsageError(
          "--\(option): '\(value)' is not of the form \(form). "
            + "Names with '=' or ',' in them go into a plan file: --plan FILE.")
      }
      return (String(value[..<equals]), String(value[value.index(after: equals)...]))
    }
    switch option {
    case "rename":
      let (name, target) = try pair("OLD=NEW")
      return .rename(name, to: target)
    case "cast":
      let (name, dtype) = try pair("NAME=DTYPE")
      let target = try Self.dtype(dtype, "--cast")
      return name.contains("*") ? .cast(.matching(name), to: target) : .cast(name, to: target)
    case "drop": return value.contains("*") ? .drop(.matching(value)) : .drop(value)
    case "reshape":
      let (name, shape) = try pair("NAME=2x3")
      return .reshape(name, to: try Self.shape(shape, "--reshape"))
    case "alias":
      let (name, original) = try pair("NEW=ORIGINAL")
      return .alias(name, of: original)
    case "add":
      let (name, kind) = try pair("NAME=DTYPE:2x3")
      let words = kind.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      return .add(
        name, dtype: try Self.dtype(String(words[0]), "--add"),
        shape: try Self.shape(words.count > 1 ? String(words[1]) : "", "--add"))
    case "split":
      let (name, rest) = try pair("NAME=A,B,C")
      let (parts, axis) = try Self.list(rest, "--split")
      return .split(name, into: parts, axis: axis)
    default:
      let (list, name) = try pair("A,B,C=NAME")
      let (parts, axis) = try Self.list(name, "--merge")
      guard parts.count == 1 else {
        throw UsageError("--merge: '\(value)' is not of the form A,B,C=NAME.")
      }
      return .merge(list.split(separator: ",").map(String.init), into: parts[0], axis: axis)
    }
  }

  /// A step with a pattern, behind one that refuses a state in which nothing matches.
  static func looking(_ step: StateStep, for pattern: String, _ kind: String) -> [StateStep] {
    var name = pattern[...]
    if kind == "cast", let equals = name.lastIndex(of: "=") { name = name[..<equals] }
    guard ["cast", "drop"].contains(kind), name.contains("*") else { return [step] }
    return [.require(.matching(String(name))), step]
  }

  static func dtype(_ name: String, _ place: String) throws(UsageError) -> DType {
    let all = DType.allCases
    if let dtype = all.first(where: { $0.name == name }) { return dtype }
    let hint = closestName(to: name, among: all.map(\.name)).map { " Did you mean '\($0)'?" } ?? ""
    throw UsageError("\(place): there is no dtype '\(name)'.\(hint)")
  }

  /// Lengths with an x between them; nothing is a scalar.
  private static func shape(_ text: String, _ place: String) throws(UsageError) -> [Int] {
    var shape: [Int] = []
    for word in text.split(separator: "x", omittingEmptySubsequences: text.isEmpty) {
      guard let length = Int(word), length >= 0 else {
        throw UsageError("\(place): '\(text)' is no shape, such as 2x3.")
      }
      shape.append(length)
    }
    return shape
  }

  /// Names with commas between them, and the axis behind an @ or 0.
  private static func list(
    _ text: String, _ place: String
  ) throws(UsageError) -> (names: [String], axis: Int) {
    let words = text.split(separator: "@", omittingEmptySubsequences: false)
    var axis = 0
    if words.count > 1 {
      guard words.count == 2, let number = Int(words[1]), number >= 0 else {
        throw UsageError("\(place): '\(text)' does not end with an axis, such as @1.")
      }
      axis = number
    }
    return ((words.first ?? "").split(separator: ",").map(String.init), axis)
  }
}
