#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Numbers as people read them.
package enum ByteText {
  /// A number of bytes with one digit behind the point, in the largest unit that it fills.
  package static func size(_ count: UInt64) -> String {
    let units: [(String, UInt64)] = [
      ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
    ]
    guard let (unit, size) = units.first(where: { count >= $0.1 }) else { return "\(count) B" }
    let tenths = UInt64((Double(count) / Double(size) * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }

  /// A number to four digits.
  package static func rounded(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return "\(value)" }
    if abs(value) >= 1e-3, abs(value) < 1e6 {
      var scale = 1.0
      while abs(value) * scale < 1000 { scale *= 10 }
      return "\((value * scale).rounded() / scale)"
    }
    // In two parts: a power of ten may be smaller than any number.
    let exponent = Int(log10(abs(value)).rounded(.down))
    let half = pow(10, Double(exponent / 2))
    let digits = value / half / pow(10, Double(exponent - exponent / 2))
    return "\((digits * 1000).rounded() / 1000)e\(exponent)"
  }
}
