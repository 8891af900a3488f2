import CheckpointFormat
import FuzzHarness
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
        Mutation.mutate(&mutated, isResizable: part.isResizable, using: &generator)
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
}
