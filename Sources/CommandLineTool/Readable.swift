#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Numbers as people read them.
package enum Readable {
  /// A number of bytes with one digit behind the point, in the largest unit that it fills.
  package static func size(_ count: UInt64) -> String {
    let units: [(String, UInt64)] = [
      ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
    ]
    guard let (unit, size) = units.first(where: { count >= $0.1 }) else { return "\(count) B" }
    let tenths = UInt64((Double(count) / Double(size) * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }

  /// To four digits.
  package static func rounded(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return "\(value)" }
    guard abs(value) < 1e6, abs(value) >= 1e-3 else { return short(value) }
    var scale = 1.0
    while abs(value) * scale < 1000 { scale *= 10 }
    return "\((value * scale).rounded() / scale)"
  }

  /// To four digits, as a power of ten.
  private static func short(_ value: Double) -> String {
    guard abs(value) >= 1e-300, abs(value) < 1e300 else { return "\(value)" }
    let exponent = floor(log10(abs(value)))
    let scaled = (value / pow(10, exponent) * 1000).rounded() / 1000
    // Rounding may give ten.
    let isTen = abs(scaled) >= 10
    let digits = isTen ? scaled / 10 : scaled
    return "\(digits)e\(Int(exponent) + (isTen ? 1 : 0))"
  }

  /// How large one number is beside another.
  package static func percent(_ part: UInt64, of whole: UInt64) -> String {
    guard whole > 0 else { return "-" }
    let share = Double(part) / Double(whole) * 100
    if share > 0, share < 0.1 { return "< 0.1 %" }
    // What is not all must not look so.
    if part < whole, share > 99.9 { return "> 99.9 %" }
    return share < 10
      ? "\((share * 10).rounded() / 10) %"
      : "\(Int(share.rounded(share > 99 ? .down : .toNearestOrEven))) %"
  }

  /// `1 tensor`, `2 tensors`.
  package static func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }
}
