/// One JSON object in one line.
struct JSONLine {
  enum Value {
    case text(String)
    case integer(Int)
    case number(Double)
    case truth(Bool)
    case integers([Int])
    case array([JSONLine])
  }

  private var fields: [(name: String, value: Value)]

  init(_ fields: [(String, Value)]) { self.fields = fields.map { (name: $0, value: $1) } }

  var text: String {
    "{" + fields.map { "\"\($0.name)\":\(Self.text($0.value))" }.joined(separator: ",") + "}"
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .integer(let number): "\(number)"
    case .integers(let numbers): "[" + numbers.map(String.init).joined(separator: ",") + "]"
    case .truth(let isTrue): "\(isTrue)"
    case .number(let number): number.isFinite ? "\(number)" : "null"
    case .array(let lines): "[" + lines.map(\.text).joined(separator: ",") + "]"
    case .text(let string): "\"" + string.unicodeScalars.map(escaped).joined() + "\""
    }
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\"": "\\\""
    case "\\": "\\\\"
    case _ where scalar.value < 0x20:
      "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
    default: String(scalar)
    }
  }
}
