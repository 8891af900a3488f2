/// Values with a type: nil if the option was not given, an error if its value is not what it
/// should be.
extension OptionParser {
  /// The option's value as a whole number within `range`.
  package func integer<Number: FixedWidthInteger>(
    _ name: String, in range: ClosedRange<Number>
  ) throws(UsageError) -> Number? {
    guard let text = string(name) else { return nil }
    let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
    guard !digits.isEmpty, digits.count + 1 >= text.utf8.count,
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { throw Self.wrong(name, text, "is not a whole number") }
    guard let value = Number(text), range.contains(value) else {
      throw Self.outOfRange(name, text, range, isOpen: range.upperBound == .max)
    }
    return value
  }

  /// The option's value as a number of bytes: whole, or with K, M, G or T for powers of 1,024.
  package func byteCount(_ name: String) throws(UsageError) -> UInt64? {
    guard let text = string(name) else { return nil }
    var digits = Substring(text)
    var unit: UInt64 = 1
    if let last = text.uppercased().last, let power = ["K", "M", "G", "T"].firstIndex(of: last) {
      digits.removeLast()
      unit = 1 << (10 * UInt64(power + 1))
    }
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }),
      let number = UInt64(digits)
    else { throw Self.wrong(name, text, "is no number of bytes, such as 500M or 20G") }
    let product = number.multipliedReportingOverflow(by: unit)
    return product.overflow ? .max : product.partialValue
  }

  /// The option's value as a finite number within `range`.
  package func number<Number: BinaryFloatingPoint & LosslessStringConvertible>(
    _ name: String, as type: Number.Type,
    in range: ClosedRange<Number> = -Number.greatestFiniteMagnitude...Number.greatestFiniteMagnitude
  ) throws(UsageError) -> Number? {
    guard let text = string(name) else { return nil }
    guard let value = Number(text), !value.isNaN else {
      throw Self.wrong(name, text, "is not a number")
    }
    guard range.contains(value) else {
      throw Self.outOfRange(
        name, text, range, isOpen: range.upperBound == .greatestFiniteMagnitude)
    }
    return value
  }

  /// Whether the option was given and not denied: bare, or with true, yes, 1 or false, no, 0.
  package func bool(_ name: String) throws(UsageError) -> Bool {
    guard let text = string(name) else { return has(name) }
    switch text.lowercased() {
    case "true", "yes", "1": return true
    case "false", "no", "0": return false
    default: throw Self.wrong(name, text, "is neither true nor false")
    }
  }

  /// The option's value as one of the given words.
  package func choice<Choice: RawRepresentable>(
    _ name: String, of choices: [Choice]
  ) throws(UsageError) -> Choice? where Choice.RawValue == String {
    guard let text = string(name) else { return nil }
    if let choice = choices.first(where: { $0.rawValue == text }) { return choice }
    let words = choices.map(\.rawValue).joined(separator: ", ")
    throw Self.wrong(name, text, "is not one of: \(words)")
  }

  private static func outOfRange<Number>(
    _ name: String, _ text: String, _ range: ClosedRange<Number>, isOpen: Bool
  ) -> UsageError {
    let bounds =
      isOpen ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
    return wrong(name, text, "is out of range: \(bounds)")
  }

  private static func wrong(_ name: String, _ text: String, _ what: String) -> UsageError {
    UsageError("--\(name): '\(text)' \(what).")
  }
}
