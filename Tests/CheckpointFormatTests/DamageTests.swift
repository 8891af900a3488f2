import CheckpointFormat
import Testing

@Suite("Damage to a part")
struct DamageTests {
  private static let parts = Result { try SealedPart.all() }

  @Test(arguments: try Self.parts.get())
  func intactPartReencodesToTheSameBytes(part: SealedPart) throws {
    #expect(try part.reencode(part.bytes) == part.bytes)
    var resealed = part.bytes
    part.reseal(&resealed)
    #expect(resealed == part.bytes)
  }

  @Test(arguments: try Self.parts.get())
  func everySingleBitFlipIsRefused(part: SealedPart) {
    var accepted: [Int] = []
    for bit in 0..<part.bytes.count * 8 {
      var damaged = part.bytes
      damaged[bit / 8] ^= 1 << (bit % 8)
      if part.refusal(of: damaged) == nil { accepted.append(bit) }
    }
    #expect(accepted == [])
  }

  @Test(arguments: try Self.parts.get())
  func everyTruncationIsRefused(part: SealedPart) {
    let accepted = part.bytes.indices.filter {
      part.refusal(of: Array(part.bytes[..<$0])) == nil
    }
    #expect(accepted == [])
  }

  @Test(arguments: try Self.parts.get())
  func everyTruncationUnderAFittingChecksumIsRefused(part: SealedPart) {
    let accepted = part.bytes.indices.filter { count in
      // The parts of fixed size have their checksum in a fixed place: short of it, none fits.
      guard part.isResizable, count >= FileStart.byteCount else { return false }
      var damaged = Array(part.bytes[..<count])
      part.reseal(&damaged)
      return part.refusal(of: damaged) == nil
    }
    #expect(accepted == [])
  }

  /// Whatever decodes is the only encoding of its meaning, and nothing traps.
  @Test(arguments: try Self.parts.get())
  func whatDecodesAfterAResealedMutationReencodesToTheSameBytes(part: SealedPart) {
    let seed: UInt64 = 0x5EED_0001
    var generator = SeededGenerator(seed: seed)
    var decodedCount = 0
    for round in 0..<Self.mutationCount {
      var mutated = part.bytes
      for _ in 0...Int.random(in: 0...2, using: &generator) {
        Self.mutate(&mutated, isResizable: part.isResizable, using: &generator)
      }
      part.reseal(&mutated)
      guard let again = try? part.reencode(mutated) else { continue }
      decodedCount += 1
      if again != mutated {
        Issue.record("seed \(seed), round \(round): \(mutated) reads as \(again)")
        return
      }
    }
    // A loop whose every round is refused at the checksum would prove nothing.
    #expect(decodedCount > 0)
  }

  private static let mutationCount = 20_000

  /// Numbers at which code tends to break.
  private static let interesting: [UInt64] = [
    0, 1, 7, 8, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, 65535, 65536, 1 << 31, (1 << 31) - 1,
    (1 << 32) - 1, 1 << 32, 1 << 48, (1 << 48) + 1, 1 << 62, (1 << 63) - 1, 1 << 63, .max - 63,
    .max - 1, .max,
  ]

  private static func mutate(
    _ bytes: inout [UInt8], isResizable: Bool, using generator: inout SeededGenerator
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
}
