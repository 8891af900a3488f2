import CheckpointEngine
import CheckpointFormat
import CheckpointTesting

// No byte of a file is inert, and no file whose parts do not belong together is taken for one.

package enum DamageSuite {
  package static let name = "damage"

  /// Flips a bit in every byte of a file, and changes what only one of its checksums guards.
  package static func run(_ harness: Harness) -> SuiteResult {
    var result = SuiteResult(name)
    result.expect("a file with one bit flipped") { try flipEveryByte(harness, &$0) }
    if harness.stopsAtFirst, !result.violations.isEmpty { return result }
    for (what, edit) in sealedEdits {
      result.caseCount += 1
      result.expect(what) { _ in try requireDamaged(edit, harness) }
    }
    return result
  }

  private static func saved(_ harness: Harness) throws -> (SimulatedDisk, path: String) {
    let disk = SimulatedDisk()
    let receipt = try harness.open(disk).save(Ledger.Content(step: 1))
    return (disk, receipt.path)
  }

  private static func flipEveryByte(_ harness: Harness, _ result: inout SuiteResult) throws {
    let (disk, path) = try saved(harness)
    guard let intact = disk.contents(ofFileAt: path) else { throw Violation("nothing was saved") }
    for index in stride(from: 0, to: intact.count, by: harness.isThorough ? 1 : 3) {
      var bytes = intact
      bytes[index] ^= 1 << (index % 8)
      disk.replaceContents(ofFileAt: path, with: bytes)
      result.caseCount += 1
      let report = Verifier(on: disk.device, threads: 1).verify(path)
      try require(!report.isIntact, "a bit of byte \(index) means nothing")
      try requireSavedBytesOrAnError(disk, path, "byte \(index) is wrong")
    }
  }

  private static func requireSavedBytesOrAnError(
    _ disk: SimulatedDisk, _ path: String, _ place: String
  ) throws {
    guard let reader = try? CheckpointReader.open(path: path, on: disk.device, threads: 1) else {
      return
    }
    let content = Ledger.Content(step: 1)
    for (name, expected) in [("matrix", content.matrix), ("counter", content.counter)] {
      guard let bytes = try? reader.read(name) else { continue }
      try require(bytes == expected, "\(place), and '\(name)' comes back changed")
    }
  }

  // MARK: Changes behind checksums that are made right again

  private typealias Edit = @Sendable (inout [ChunkEntry], inout [UInt8]) -> Void

  /// An encoder that went wrong, or a disk that mixed up whole blocks together with their checksums.
  private static let sealedEdits: [(String, Edit)] = [
    (
      "a chunk that decodes to other bytes",
      { entries, _ in
        guard let number = entries.firstIndex(where: { $0.codec != .stored }) else { return }
        entries[number].rawChecksum ^= 1
      }
    ),
    (
      "two chunks in each other's place, with their checksums",
      { entries, bytes in
        let stored = entries.indices.filter {
          entries[$0].codec == .stored && entries[$0].storedByteCount == 64
        }
        guard stored.count >= 2 else { return }
        let (left, right) = (entries[stored[0]], entries[stored[1]])
        for offset in 0..<64 {
          bytes.swapAt(Int(left.storedOffset) + offset, Int(right.storedOffset) + offset)
        }
        entries[stored[0]].storedChecksum = right.storedChecksum
        entries[stored[0]].rawChecksum = right.rawChecksum
        entries[stored[1]].storedChecksum = left.storedChecksum
        entries[stored[1]].rawChecksum = left.rawChecksum
      }
    ),
  ]

  /// Applies `edit`, makes every checksum but the chunks' right again, and requires that reading
  /// notices.
  private static func requireDamaged(_ edit: Edit, _ harness: Harness) throws {
    let (disk, path) = try saved(harness)
    guard var bytes = disk.contents(ofFileAt: path) else { throw Violation("nothing was saved") }
    let intact = bytes
    let index = try CheckpointReader.open(path: path, on: disk.device, threads: 1).index
    var entries = index.chunks.entries
    edit(&entries, &bytes)
    try require(entries != index.chunks.entries || bytes != intact, "the edit found nothing to do")

    var table = ChunkTable()
    for entry in entries {
      table.append(entry)
      bytes.replace(
        at: entry.frameOffset,
        with: entry.frame(in: index.header).encoded)
    }
    var trailer = index.trailer
    let encoded = table.encoded
    for number in trailer.sections.indices where trailer.sections[number].kind == .chunkTable {
      bytes.replace(at: trailer.sections[number].offset, with: encoded)
      trailer.sections[number].checksum = index.header.formatVersion.checksum(encoded.rawSpan)
    }
    bytes.replace(at: UInt64(bytes.count - Trailer.byteCount), with: trailer.encoded)
    disk.replaceContents(ofFileAt: path, with: bytes)

    let report = Verifier(on: disk.device, threads: 1).verify(path)
    try require(report.isDamaged, "full verification finds nothing")
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    let isNoticed = (try? reader.read("matrix")) == nil
    try require(isNoticed, "loading finds nothing")
  }
}

extension [UInt8] {
  /// Overwrites bytes that are there.
  fileprivate mutating func replace(at offset: UInt64, with bytes: [UInt8]) {
    replaceSubrange(Int(offset)..<Int(offset) + bytes.count, with: bytes)
  }
}
