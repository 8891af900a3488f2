import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: no byte of a file is inert, and no damage makes a reader return other bytes.
// Method: the smallest fixture, which has every kind of record, damaged in every way that media and
// people damage files; every full verification must report it.
@Suite struct CorruptionTests {
  private static let intact =
    (try? bytes(ofFileAt: repositoryPath("Tests/Fixtures/v1-draft/smallest.ckpt"))) ?? []
  private let file = FileInMemory(Self.intact)

  /// Full verification, as `ckpt-verify` does it.
  private func isReported() -> Bool {
    do {
      return try !file.open().verify(.full).isIntact
    } catch {
      // A flipped bit must never make a file look like one from the future.
      return error.code == .corrupted
    }
  }

  /// Whether each tensor comes back as it was saved, or not at all.
  private func loadsOnlyWhatWasSaved() -> Bool {
    guard let reader = try? file.open() else { return true }
    return FixtureStates.smallest.tensors.allSatisfy { tensor in
      guard let bytes = try? reader.read(tensor.descriptor.name) else { return true }
      return bytes == tensor.bytes
    }
  }

  @Test(arguments: 0..<8) func everyFlippedBitIsReported(bit: Int) throws {
    try #require(Self.intact.count == 8192)
    for offset in Self.intact.indices {
      file.flipping(bit: offset * 8 + bit) {
        #expect(isReported(), "byte \(offset), bit \(bit)")
        #expect(loadsOnlyWhatWasSaved(), "byte \(offset), bit \(bit)")
      }
    }
    #expect(!isReported())
  }

  @Test func everyTruncationIsReported() {
    for count in 0..<Self.intact.count {
      file.contents = Array(Self.intact[..<count])
      #expect(isReported(), "\(count) bytes")
      #expect(loadsOnlyWhatWasSaved(), "\(count) bytes")
    }
  }

  @Test(arguments: [1, 7, 512, 4096]) func appendedBytesAreReported(count: Int) {
    for byte in [UInt8(0), 0xff] {
      file.contents = Self.intact + [UInt8](repeating: byte, count: count)
      #expect(isReported())
    }
  }

  @Test func concatenatedAndDoubledFilesAreReported() throws {
    let other = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/v1-draft/empty.ckpt"))
    for contents in [
      Self.intact + Self.intact, Self.intact + other, other + Self.intact,
      [0] + Self.intact, Array(Self.intact.dropFirst()),
    ] {
      file.contents = contents
      #expect(isReported())
      #expect(loadsOnlyWhatWasSaved())
    }
  }

  @Test(arguments: [64, 512, 4096])
  func zeroedFilledAndDoubledSectorsAreReported(sectorByteCount: Int) {
    let sectors = stride(from: 0, to: Self.intact.count, by: sectorByteCount).map {
      $0..<$0 + sectorByteCount
    }
    for sector in sectors {
      let replacements =
        [UInt8(0), 0xa5, 0xff].map { [UInt8](repeating: $0, count: sectorByteCount) }
        + sectors.map { Array(Self.intact[$0]) }
      for replacement in replacements where replacement != Array(Self.intact[sector]) {
        var contents = Self.intact
        contents.replaceSubrange(sector, with: replacement)
        file.contents = contents
        #expect(isReported(), "sector at \(sector.lowerBound)")
        #expect(loadsOnlyWhatWasSaved(), "sector at \(sector.lowerBound)")
      }
    }
  }

  /// Stale blocks: the same state, saved a second time, differs in its identifiers only.
  @Test(arguments: [512, 4096])
  func sectorsOfAnotherSaveOfTheSameStateAreReported(sectorByteCount: Int) throws {
    let disk = SimulatedDisk()
    var state = SampleState(1, byteCount: 20_000)
    state.add("zeros", .int8, [9000], [UInt8](repeating: 0, count: 9000))
    let store = try disk.writer(4096)
    try store.save(state, step: 1)
    try store.save(state, step: 1)
    let first = try disk.contents(checkpointName(1, 1))
    let second = try disk.contents(checkpointName(1, 2))
    try #require(first.count == second.count)
    var exchangedCount = 0
    for start in stride(from: 0, to: first.count, by: sectorByteCount) {
      let sector = start..<start + sectorByteCount
      if first[sector] == second[sector] { continue }  // the raw bytes themselves are the same
      exchangedCount += 1
      for (mine, theirs) in [(first, second), (second, first)] {
        var contents = mine
        contents.replaceSubrange(sector, with: theirs[sector])
        file.contents = contents
        #expect(isReported(), "sector at \(start)")
        guard let reader = try? file.open() else { continue }
        for tensor in state.tensors {
          let bytes = try? reader.read(tensor.descriptor.name)
          #expect(bytes == nil || bytes == tensor.bytes)
        }
      }
    }
    #expect(exchangedCount >= 4)
  }

  @Test func chunksExchangedWithinAFileAreReported() throws {
    var state = SampleState()
    var generator = SeededGenerator(3)
    state.add("a", .uint8, [512], (0..<512).map { _ in generator.byte() })
    state.add("b", .uint8, [512], (0..<512).map { _ in generator.byte() })
    let disk = SimulatedDisk()
    try disk.writer().save(state, step: 1)
    let intact = try disk.contents(checkpointName(1, 1))
    file.contents = intact
    let entries = try file.open().index.chunks.entries
    for left in entries {
      for right in entries where right.frameOffset > left.frameOffset {
        for withFrame in [false, true] {
          var contents = intact
          let frame = withFrame ? 0 : 64
          for index in frame..<128 {
            contents.swapAt(Int(left.frameOffset) + index, Int(right.frameOffset) + index)
          }
          file.contents = contents
          let reader = try file.open()
          #expect(reader.verify(.stored).isDamaged)
          let damaged = Set([left, right].map { $0.tensor == 0 ? "a" : "b" })
          for tensor in state.tensors {
            let name = tensor.descriptor.name
            let bytes = try? reader.read(name)
            #expect(bytes == (damaged.contains(name) ? nil : tensor.bytes))
          }
        }
      }
    }
  }

  @Test func damageNamesTensorChunkAndOffsetAndSparesTheRest() throws {
    let names = ["fine", "hit", "also fine"]
    var state = SampleState()
    var generator = SeededGenerator(5)
    for name in names { state.add(name, .uint8, [10, 100], generator.bytes(1000)) }
    let disk = SimulatedDisk()
    try disk.writer(256).save(state, step: 1)
    let intact = try disk.contents(checkpointName(1, 1))
    file.contents = intact
    for entry in try file.open().index.chunks.entries where entry.tensor == 1 {
      let first = Int(entry.storedOffset)
      for offset in [first, first + Int(entry.storedByteCount) - 1] {
        var contents = intact
        contents[offset] ^= 0x10
        file.contents = contents
        let reader = try file.open()
        for level in [VerificationLevel.stored, .full] {
          let findings = reader.verify(level).findings
          try #require(findings.count == 1)
          let location = try #require(findings[0].location)
          #expect(findings[0].code == .corrupted)
          #expect(location.tensor == "hit")
          #expect(location.chunk == Int(entry.chunk))
          #expect(location.offset == entry.storedOffset)
          #expect(findings[0].message.contains("\(entry.storedOffset)"))
        }
        #expect(reader.verify(.quick).isIntact)
        #expect(errorCode { _ = try reader.read("hit") } == .corrupted)
        #expect(try reader.read("fine") == state.tensors[0].bytes)
        #expect(try reader.read("also fine") == state.tensors[2].bytes)
        // Rows in other chunks of the damaged tensor are as good as ever.
        for row in 0..<10 {
          let isHit = (row * 100 / 256...(row * 100 + 99) / 256).contains(Int(entry.chunk))
          let bytes = try? reader.read(rows: row..<row + 1, of: "hit")
          #expect(
            bytes == (isHit ? nil : Array(state.tensors[1].bytes[row * 100..<row * 100 + 100])))
        }
      }
    }
  }
}
