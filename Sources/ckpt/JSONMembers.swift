internal import CommandLineTool

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// The members of a JSON object, to tell which of them differ.
struct JSONMembers {
  private let members: [String: Node]

  /// Nil for a text that is no object.
  init?(_ text: String) {
    guard let node = try? JSONDecoder().decode(Node.self, from: Data(text.utf8)),
      case .object(let members) = node
    else { return nil }
    self.members = members
  }

  /// The members that differ, in the order of their names, each as it is on either side; nil where it is not.
  func differences(from other: JSONMembers) -> [(name: String, left: String?, right: String?)] {
    Set(members.keys).union(other.members.keys).sorted().compactMap { name in
      let (one, two) = (members[name], other.members[name])
      return one == two ? nil : (name, one?.value.text, two?.value.text)
    }
  }

  private indirect enum Node: Decodable, Equatable {
    case object([String: Node])
    case array([Node])
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case null

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Int64.self) {
        self = .int(value)
      } else if let value = try? container.decode(Double.self) {
        self = .double(value)
      } else if let value = try? container.decode(String.self) {
        self = .string(value)
      } else if let value = try? container.decode([Node].self) {
        self = .array(value)
      } else {
        self = .object(try container.decode([String: Node].self))
      }
    }

    var value: JSONValue {
      switch self {
      case .object(let members): .object(members.sorted { $0.key < $1.key }.map { ($0, $1.value) })
      case .array(let elements): .array(elements.map(\.value))
      case .string(let text): .string(text)
      case .bool(let value): .bool(value)
      case .int(let value): .int(value)
      case .double(let value): .double(value)
      case .null: .null
      }
    }
  }
}
