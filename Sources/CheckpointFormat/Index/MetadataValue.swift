/// A typed value beside the tensors, kept bit for bit.
public enum MetadataValue: Hashable, Sendable {
  /// A truth value.
  case bool(Bool)
  /// A signed integer.
  case int64(Int64)
  /// An unsigned integer.
  case uint64(UInt64)
  /// The bits of an IEEE 754 binary64; NaN payloads are kept. Compares by bits.
  case float64(bits: UInt64)
  /// Text.
  case string(String)
  /// Anything.
  case bytes([UInt8])
  /// JSON as UTF-8 text, at most 32 levels deep.
  case json(String)

  /// A floating-point value.
  public static func float64(_ value: Double) -> MetadataValue { .float64(bits: value.bitPattern) }
}

extension MetadataValue {
  /// Compares texts by their bytes: equivalent Unicode that was rewritten is a difference.
  public static func == (left: MetadataValue, right: MetadataValue) -> Bool {
    switch (left, right) {
    case (.bool(let left), .bool(let right)): left == right
    case (.int64(let left), .int64(let right)): left == right
    case (.uint64(let left), .uint64(let right)): left == right
    case (.float64(let left), .float64(let right)): left == right
    case (.bytes(let left), .bytes(let right)): left == right
    case (.string(let left), .string(let right)), (.json(let left), .json(let right)):
      left.hasSameBytes(as: right)
    default: false
    }
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(code)
    switch self {
    case .bool(let value): hasher.combine(value)
    case .int64(let value): hasher.combine(value)
    case .uint64(let value): hasher.combine(value)
    case .float64(let bits): hasher.combine(bits)
    case .string(let text), .json(let text): text.hashBytes(into: &hasher)
    case .bytes(let bytes): hasher.combine(bytes)
    }
  }
}

extension MetadataValue {
  /// The name of its type, as docs/format.md and docs/json.md have it.
  package var typeName: String {
    switch self {
    case .bool: "bool"
    case .int64: "int64"
    case .uint64: "uint64"
    case .float64: "float64"
    case .string: "string"
    case .bytes: "bytes"
    case .json: "json"
    }
  }

  package var code: UInt8 {
    switch self {
    case .bool: 1
    case .int64: 2
    case .uint64: 3
    case .float64: 4
    case .string: 5
    case .bytes: 6
    case .json: 7
    }
  }

  package var encoded: [UInt8] {
    var writer = ByteWriter()
    switch self {
    case .bool(let value): writer.append(UInt8(value ? 1 : 0))
    case .int64(let value): writer.append(UInt64(bitPattern: value))
    case .uint64(let value): writer.append(value)
    case .float64(let bits): writer.append(bits)
    case .string(let text), .json(let text): writer.append(contentsOf: text.utf8)
    case .bytes(let bytes): writer.append(contentsOf: bytes)
    }
    return writer.bytes
  }

  package init(
    code: UInt8, decoding reader: inout ByteReader, byteCount: Int, limits: Limits
  ) throws(FormatError) {
    let offset = reader.fileOffset
    switch code {
    case 1:
      guard byteCount == 1 else { throw Self.wrongLength(at: offset) }
      let value = try reader.read(UInt8.self)
      guard value <= 1 else {
        throw FormatError(.inconsistent("a truth value that is neither 0 nor 1"), at: offset)
      }
      self = .bool(value == 1)
    case 2, 3, 4:
      guard byteCount == 8 else { throw Self.wrongLength(at: offset) }
      let value = try reader.read(UInt64.self)
      self =
        code == 2
        ? .int64(Int64(bitPattern: value)) : code == 3 ? .uint64(value) : .float64(bits: value)
    case 5:
      self = .string(try reader.readString(byteCount))
    case 6:
      self = .bytes(try reader.readBytes(byteCount).copied())
    case 7:
      let text = try reader.readString(byteCount)
      try limits.check(Self.jsonDepth(text), \.jsonDepthMax, "nesting of a JSON value", at: offset)
      self = .json(text)
    default:
      throw FormatError(.inconsistent("unknown type of a metadata value"), at: offset)
    }
  }

  private static func wrongLength(at offset: UInt64) -> FormatError {
    FormatError(.inconsistent("length of a metadata value"), at: offset)
  }

  /// The deepest nesting of brackets outside strings, found without recursion.
  ///
  /// The text need not be valid JSON; brackets that close nothing count for nothing.
  package static func jsonDepth(_ text: String) -> Int {
    var depth = 0
    var deepest = 0
    var isInString = false
    var isEscaped = false
    for byte in text.utf8 {
      if isInString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        deepest = max(deepest, depth)
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
      default: break
      }
    }
    return deepest
  }
}
