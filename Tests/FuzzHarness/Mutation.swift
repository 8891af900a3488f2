/// Changes of bytes at which decoders tend to break.
package enum Mutation {
  /// Numbers at which code tends to break.
  package static let interesting: [UInt64] = [
    0, 1, 2, 7, 8, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, 65535, 65536, (1 << 31) - 1, 1 << 31,
    (1 << 32) - 1, 1 << 32, 1 << 48, (1 << 48) + 1, 1 << 62, (1 << 63) - 1, 1 << 63, .max - 63,
    .max - 1, .max,
  ]

  /// Changes a bit, a byte or a field, or swaps bytes; also the length, if that is allowed.
  package static func mutate(
    _ bytes: inout [UInt8], isResizable: Bool, using generator: inout some RandomNumberGenerator
  ) {
    guard bytes.count > 8 else { return }
    let index = Int.random(in: 0..<bytes.count, using: &generator)
    switch Int.random(in: 0..<(isResizable ? 8 : 6), using: &generator) {
    case 0, 1:
      bytes[index] ^= 1 << Int.random(in: 0..<8, using: &generator)
    case 2:
      bytes[index] = UInt8.random(in: 0...255, using: &generator)
    case 3, 4:
      let value = littleEndian(interesting.randomElement(using: &generator) ?? 0)
      let width = [1, 2, 4, 8].randomElement(using: &generator) ?? 1
      // Fields lie at multiples of four more often than not.
      let start = min(index / 4 * 4, bytes.count - width)
      bytes.overwrite(at: start, with: Array(value[..<width]))
    case 5:
      bytes.swapAt(index, Int.random(in: 0..<bytes.count, using: &generator))
    case 6:
      bytes.remove(at: index)
    default:
      bytes.insert(UInt8.random(in: 0...255, using: &generator), at: index)
    }
  }

  /// Changes a field of a checkpoint file outside its chunks, and leaves its checksums as they were.
  package static func mutateField(
    of file: inout EditableFile, using generator: inout some RandomNumberGenerator
  ) {
    guard let place = file.places.randomElement(using: &generator) else { return }
    let width = [1, 1, 2, 4, 4, 8, 8].randomElement(using: &generator) ?? 1
    guard place.count >= width else { return }
    var offset = Int.random(in: place.lowerBound...place.upperBound - width, using: &generator)
    if Int.random(in: 0..<100, using: &generator) < 70 {
      offset -= (offset - place.lowerBound) % min(width, 4)
    }
    let old = file.load(offset, width)
    let value =
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: interesting.randomElement(using: &generator) ?? 0
      case 1: old &+ 1
      case 2: old &- 1
      default: UInt64.random(in: 0...UInt64.max, using: &generator)
      }
    file.store(value, width, at: offset)
  }
}
