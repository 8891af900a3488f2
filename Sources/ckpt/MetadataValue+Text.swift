internal import CheckpointEngine
internal import CommandLineTool

extension MetadataValue {
  /// The value as people read it; not escaped.
  var text: String {
    switch self {
    case .bool(let value): "\(value)"
    case .int64(let value): "\(value)"
    case .uint64(let value): "\(value)"
    case .float64(let bits): "\(Double(bitPattern: bits))"
    case .string(let text), .json(let text): text
    case .bytes(let bytes):
      Readable.count(bytes.count, "byte") + (bytes.isEmpty ? "" : ": ")
        + Self.hexadecimal(bytes.prefix(32)) + (bytes.count > 32 ? "..." : "")
    }
  }

  /// The value for programs; JSON as a text, bytes in hexadecimal digits.
  var json: JSONValue {
    switch self {
    case .bool(let value): .bool(value)
    case .int64(let value): .int(value)
    case .uint64(let value): .uint(value)
    case .float64(let bits): .double(Double(bitPattern: bits))
    case .string(let text), .json(let text): .string(text)
    case .bytes(let bytes): .string(Self.hexadecimal(bytes[...]))
    }
  }

  private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

extension Metadata.Domain {
  /// The name of the domain, as `docs/json.md` has it.
  var name: String {
    switch self {
    case .state: "state"
    case .metric: "metric"
    case .environment: "environment"
    case .stateVersion: "state_version"
    }
  }
}
