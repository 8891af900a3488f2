internal import CheckpointEngine
internal import CommandLineTool

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A plan in a file, as docs/json.md describes it.
struct PlanFile: Decodable {
  private let formatVersion: UInt32?
  private let steps: [Step]?

  private enum CodingKeys: String, CodingKey {
    case schema, formatVersion = "format_version", steps
  }

  init(path: String) throws(UsageError) {
    do {
      let data = try Data(contentsOf: URL(filePath: path))
      self = try JSONDecoder().decode(PlanFile.self, from: data)
    } catch let error as UsageError {
      throw error
    } catch let error as DecodingError {
      throw UsageError("--plan: \(path) \(Self.sentence(error)) docs/json.md describes plans.")
    } catch {
      throw UsageError("--plan: \(path) cannot be read. Check the path and its permissions.")
    }
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let schema = try container.decode(Int.self, forKey: .schema)
    guard schema == 1 else {
      throw UsageError(
        "The plan has schema \(schema), and this build knows 1. Use a newer build, or check it.")
    }
    formatVersion = try container.decodeIfPresent(UInt32.self, forKey: .formatVersion)
    steps = try container.decodeIfPresent([Step].self, forKey: .steps)
  }

  /// The format version that the file asks for, if it does.
  func version() throws(UsageError) -> FormatVersion? {
    guard let formatVersion else { return nil }
    guard let version = FormatVersion(rawValue: formatVersion) else {
      throw UsageError(
        "The plan asks for format version \(formatVersion), which this build does not know.")
    }
    return version
  }

  /// The steps in order.
  func stateSteps() throws(UsageError) -> [StateStep] {
    var result: [StateStep] = []
    for (number, step) in (steps ?? []).enumerated() {
      result += StepOptions.looking(
        try step.stateStep(number + 1), for: step.name ?? "", step.step)
    }
    return result
  }

  private static func sentence(_ error: DecodingError) -> String {
    let (context, what): (DecodingError.Context, String) =
      switch error {
      case .keyNotFound(let key, let context): (context, "lacks '\(key.stringValue)'")
      case .typeMismatch(_, let context): (context, "has a value of the wrong type")
      case .valueNotFound(_, let context): (context, "has null where a value belongs")
      case .dataCorrupted(let context): (context, "is no JSON, or not what it should be")
      @unknown default: (.init(codingPath: [], debugDescription: ""), "cannot be read")
      }
    let place = context.codingPath.map(\.stringValue).joined(separator: ".")
    return what + (place.isEmpty ? "." : " at \(place).")
  }
}

/// One step of a plan file.
private struct Step: Decodable {
  let step: String
  let name: String?
  let to: String?
  let of: String?
  let dtype: String?
  let shape: [Int]?
  let parts: [String]?
  let axis: Int?
  let sizes: [Int]?

  func stateStep(_ number: Int) throws(UsageError) -> StateStep {
    func need<Value>(_ value: Value?, _ key: String) throws(UsageError) -> Value {
      if let value { return value }
      throw UsageError("Step \(number) of the plan, '\(step)', needs '\(key)'.")
    }
    let place = "Step \(number) of the plan"
    let name = try need(name, "name")
    switch step {
    case "rename": return .rename(name, to: try need(to, "to"))
    case "drop": return name.contains("*") ? .drop(.matching(name)) : .drop(name)
    case "cast":
      let target = try StepOptions.dtype(try need(dtype, "dtype"), place)
      return name.contains("*") ? .cast(.matching(name), to: target) : .cast(name, to: target)
    case "reshape": return .reshape(name, to: try need(shape, "shape"))
    case "alias": return .alias(name, of: try need(of, "of"))
    case "add":
      return .add(
        name, dtype: try StepOptions.dtype(try need(dtype, "dtype"), place),
        shape: try need(shape, "shape"))
    case "split":
      return .split(name, into: try need(parts, "parts"), axis: axis ?? 0, sizes: sizes)
    case "merge": return .merge(try need(parts, "parts"), into: name, axis: axis ?? 0)
    default:
      let known = ["rename", "drop", "cast", "reshape", "alias", "add", "split", "merge"]
      let hint = closestName(to: step, among: known).map { " Did you mean '\($0)'?" } ?? ""
      throw UsageError("\(place): there is no step '\(step)'.\(hint)")
    }
  }
}
