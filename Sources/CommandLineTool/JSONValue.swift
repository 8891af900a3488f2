/// A JSON document whose objects keep the order of their keys.
///
/// - SeeAlso: docs/json.md; RFC 8259.
package indirect enum JSONValue: Sendable {
  case object([(String, JSONValue)])
  case array([JSONValue])
  case string(String)
  case int(Int64)
  case uint(UInt64)
  case double(Double)
  /// Printed with the digits that a 32-bit float has, not with those of its double.
  case float(Float)
  case bool(Bool)
  case null

  /// The document on one line of printable text.
  package var text: String {
    var text = ""
    write(to: &text)
    return text
  }

  private func write(to text: inout String) {
    switch self {
    case .object(let members):
      text += "{"
      for (index, (key, value)) in members.enumerated() {
        if index > 0 { text += "," }
        Self.write(key, to: &text)
        text += ":"
        value.write(to: &text)
      }
      text += "}"
    case .array(let elements):
      text += "["
      for (index, element) in elements.enumerated() {
        if index > 0 { text += "," }
        element.write(to: &text)
      }
      text += "]"
    case .string(let string): Self.write(string, to: &text)
    case .int(let value): text += "\(value)"
    case .uint(let value): text += "\(value)"
    case .double(let value): text += Self.number(value, "\(value)")
    case .float(let value): text += Self.number(Double(value), "\(value)")
    case .bool(let value): text += value ? "true" : "false"
    case .null: text += "null"
    }
  }

  /// JSON has no word for a number that is not finite; three strings stand for them.
  private static func number(_ value: Double, _ digits: String) -> String {
    if value.isNaN { return "\"NaN\"" }
    if value.isInfinite { return value < 0 ? "\"-Infinity\"" : "\"Infinity\"" }
    // Swift prints the fewest digits that read back as the same number.
    return digits
  }

  /// Writes a string so that nothing in it could steer a terminal or fool the eye; what is escaped
  /// reads back the same.
  private static func write(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      default:
        if scalar.isPrintable {
          text.unicodeScalars.append(scalar)
        } else {
          for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
            let digits = String(unit, radix: 16)
            text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
          }
        }
      }
    }
    text += "\""
  }
}
