import CheckpointFormat
import CheckpointTesting
import Foundation

/// Chunks of what training programs keep, and of what a codec may stumble over.
enum SampleBytes {
  /// Bytes of numbers, as they lie in memory.
  static func bytes<Number: FixedWidthInteger>(_ numbers: [Number]) -> [UInt8] {
    unsafe numbers.withUnsafeBytes { unsafe [UInt8]($0) }
  }

  static func random(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SplitMix64(state: seed)
    return bytes((0..<(count + 7) / 8).map { _ in generator.next() }).prefix(count) + []
  }

  /// Normal numbers by the method of Box and Muller.
  static func normal(_ count: Int, deviation: Double = 0.02, seed: UInt64 = 1) -> [Double] {
    var generator = SplitMix64(state: seed)
    func uniform() -> Double { (Double(generator.next() >> 11) + 0.5) * 0x1p-53 }
    return (0..<(count + 1) / 2).flatMap { _ in
      let (radius, angle) = ((-2 * log(uniform())).squareRoot(), 2 * Double.pi * uniform())
      return [radius * cos(angle) * deviation, radius * sin(angle) * deviation]
    }.prefix(count) + []
  }

  static func float32(_ values: [Double]) -> [UInt8] { bytes(values.map { Float($0).bitPattern }) }

  /// The upper halves of float32, rounded to the nearest, ties to even.
  static func bfloat16(_ values: [Double]) -> [UInt8] {
    bytes(
      values.map { value in
        let bits = Float(value).bitPattern
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
      })
  }

  static func float64(_ values: [Double]) -> [UInt8] { bytes(values.map(\.bitPattern)) }

  /// Numbers in ascending order with steps of up to 50.
  static func sorted<Number: FixedWidthInteger>(_ count: Int, as _: Number.Type) -> [UInt8] {
    var generator = SplitMix64(state: 7)
    var value: UInt64 = 1000
    return bytes(
      (0..<count).map { _ in
        value &+= generator.next() % 50
        return Number(truncatingIfNeeded: value)
      })
  }

  static func range<Number: FixedWidthInteger>(_ count: Int, as _: Number.Type) -> [UInt8] {
    bytes((0..<count).map { Number(truncatingIfNeeded: $0) })
  }

  static func text(_ count: Int) -> [UInt8] {
    let words = [
      "the", "model", "of", "a", "loss", "which", "falls", "slowly", "and", "then", "rises",
      "again",
      "when", "its", "learning", "rate", "is", "too", "high", "for", "this", "batch", "size", "in",
    ]
    var generator = SplitMix64(state: 3)
    var text: [UInt8] = []
    while text.count < count {
      // Words that come first in the list come more often.
      let choice = min(generator.next() % 24, generator.next() % 24)
      text += Array((words[Int(choice)] + (generator.next() % 9 == 0 ? ".\n" : " ")).utf8)
    }
    return text.prefix(count) + []
  }

  /// Bytes 0 and 1, one in `every` of them 1.
  static func mask(_ count: Int, oneIn every: UInt64) -> [UInt8] {
    var generator = SplitMix64(state: 5)
    return (0..<count).map { _ in generator.next() % every == 0 ? 1 : 0 }
  }

  /// Bytes 0 and 1 in runs of up to `length`.
  static func runs(_ count: Int, upTo length: UInt64) -> [UInt8] {
    var generator = SplitMix64(state: 6)
    var (bytes, bit): ([UInt8], UInt8) = ([], 0)
    while bytes.count < count {
      bytes += [UInt8](repeating: bit, count: 1 + Int(generator.next() % length))
      bit ^= 1
    }
    return bytes.prefix(count) + []
  }

  /// Rows of an embedding, each of them one of a few.
  static func repeatedRows(_ rowCount: Int, rowByteCount: Int, of kinds: Int) -> [UInt8] {
    let rows = (0..<kinds).map { kind in
      float32(normal(rowByteCount / 4, seed: UInt64(100 + kind)))
    }
    var generator = SplitMix64(state: 8)
    return (0..<rowCount).flatMap { _ in rows[Int(generator.next() % UInt64(kinds))] }
  }

  /// The moments of Adam after `steps` steps with normal gradients of different sizes.
  static func moments(_ count: Int, steps: Int = 60) -> (first: [Double], second: [Double]) {
    let sizes = normal(count, deviation: 1, seed: 20).map { exp($0) * 1e-3 }
    var first = [Double](repeating: 0, count: count)
    var second = first
    for step in 0..<steps {
      let gradients = normal(count, deviation: 1, seed: UInt64(1000 + step))
      for index in 0..<count {
        let gradient = gradients[index] * sizes[index]
        first[index] = 0.9 * first[index] + 0.1 * gradient
        second[index] = 0.999 * second[index] + 0.001 * gradient * gradient
      }
    }
    return (first, second)
  }

  /// Zeros, one of which may be none.
  static func zeros(_ count: Int, oddByteAt place: Int? = nil) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    if let place { bytes[place] = 0x80 }
    return bytes
  }

  static func constant(_ count: Int, _ element: [UInt8]) -> [UInt8] {
    (0..<count).map { element[$0 % element.count] }
  }

  /// Chunks of any element, by name, of `count` bytes.
  static func all(_ count: Int) -> [(name: String, bytes: [UInt8])] {
    let normals = normal((count + 1) / 2)
    return [
      ("noise", random(count)), ("zeros", zeros(count)),
      ("one odd byte in the middle", zeros(count, oddByteAt: count / 2)),
      ("one odd byte at the end", zeros(count, oddByteAt: count - 1)),
      ("constant", constant(count, [1, 2, 3, 4, 5, 6, 7, 8])),
      ("float32", float32(normals).prefix(count) + []),
      ("bfloat16", bfloat16(normals).prefix(count) + []),
      ("float64", float64(normals).prefix(count) + []),
      ("text", text(count)), ("mask", mask(count, oneIn: 3)),
      ("rare mask", mask(count, oneIn: 400)),
      ("runs", runs(count, upTo: 100)),
      ("range", range((count + 3) / 4, as: UInt32.self).prefix(count) + []),
      ("sorted", sorted((count + 7) / 8, as: UInt64.self).prefix(count) + []),
      (
        "NaN payloads",
        constant(count, [0, 0, 0xC0, 0x7F]).enumerated().map {
          $0.offset % 4 < 2 ? UInt8(truncatingIfNeeded: $0.offset &* 0x9E37 >> 7) : $0.element
        }
      ),
    ]
  }
}
