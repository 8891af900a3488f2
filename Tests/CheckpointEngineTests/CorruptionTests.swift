import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: no byte of a file is inert, and no damage makes a reader return other bytes.
// Method: a file with every kind of record, damaged in every way that media and people damage files;
// every full verification must report it, and every tensor must come back as it was, or not at all.

/// A file with every kind of record, and what is said of it when it is damaged.
private struct Subject {
  private static let files = FormatVersion.allCases.reduce(into: [:]) {
    $0[$1] = try? ReferenceFile.bytes($1)
  }
  static let tensors = ReferenceFile.state().tensors
  let intact: [UInt8]
  let file: FileInMemory

  init(_ version: FormatVersion) throws {
    intact = try #require(Self.files[version])
    file = FileInMemory(intact)
  }

  /// What full verification finds, as `ckpt-verify` does it.
  func findings() -> [CheckpointError] {
    do {
      return try file.open().verify(.full).findings
    } catch {
      return [error]
    }
  }

  /// Whether full verification reports damage, and nothing else: a flipped bit must never make a
  /// file look like one from the future.
  func isReported() -> Bool {
    let codes = Set(findings().map(\.code))
    return codes == [.corrupted]
  }

  /// Whether each tensor comes back as it was saved, or not at all.
  func loadsOnlyWhatWasSaved(_ tensors: [SampleState.Tensor] = Self.tensors) -> Bool {
    guard let reader = try? file.open() else { return true }
    return tensors.allSatisfy { tensor in
      guard let bytes = try? reader.read(tensor.descriptor.name) else { return true }
      return bytes == tensor.bytes
    }
  }

  func expectReported(
    _ contents: [UInt8], _ comment: @autoclosure () -> Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    file.contents = contents
    #expect(isReported(), comment(), sourceLocation: sourceLocation)
    #expect(loadsOnlyWhatWasSaved(), comment(), sourceLocation: sourceLocation)
  }

  func sectors(_ byteCount: Int) -> [Range<Int>] {
    stride(from: 0, to: intact.count, by: byteCount).map { $0..<$0 + byteCount }
  }
}

@Suite struct CorruptionTests {
  @Test(arguments: FormatVersion.allCases, 0..<8)
  func everyFlippedBitIsReported(version: FormatVersion, bit: Int) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    let file = subject.file
    try #require((8192...16_384).contains(intact.count))
    try #require(subject.findings().isEmpty)
    let chunks = try file.open().index.chunks.entries
    for offset in intact.indices {
      file.flipping(bit: offset * 8 + bit) {
        let findings = subject.findings()
        #expect(findings.map(\.code) == [.corrupted], "byte \(offset), bit \(bit)")
        // Frame, stored bytes and the zeros behind them are their chunk's.
        let chunk = chunks.first { ($0.frameOffset..<$0.endOffset).contains(UInt64(offset)) }
        let location = findings.first?.location
        #expect(location?.chunk == chunk.map { Int($0.chunk) }, "byte \(offset), bit \(bit)")
        #expect(
          location?.tensor == chunk.map { Subject.tensors[Int($0.tensor)].descriptor.name },
          "byte \(offset), bit \(bit)")
        #expect(subject.loadsOnlyWhatWasSaved(), "byte \(offset), bit \(bit)")
      }
    }
    #expect(subject.findings().isEmpty)
  }

  @Test(arguments: FormatVersion.allCases)
  func everyTruncationIsReported(version: FormatVersion) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    for count in 0..<intact.count {
      subject.expectReported(Array(intact[..<count]), "\(count) bytes")
    }
  }

  @Test(arguments: FormatVersion.allCases, [1, 7, 512, 4096])
  func appendedBytesAreReported(version: FormatVersion, count: Int) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    var generator = SeededGenerator(UInt64(count))
    for bytes in [
      [UInt8](repeating: 0, count: count), [UInt8](repeating: 0xff, count: count),
      (0..<count).map { _ in generator.byte() },
    ] {
      subject.expectReported(intact + bytes, "\(count) bytes")
    }
  }

  @Test(arguments: FormatVersion.allCases)
  func concatenatedAndDoubledFilesAreReported(version: FormatVersion) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    let saves = try ReferenceFile.saves(version, contents: 1, 2)
    let empty = try bytes(ofFileAt: repositoryPath("Tests/Fixtures/v1/empty.ckpt"))
    for other in saves + [empty, intact] {
      subject.expectReported(intact + other, "behind it")
      subject.expectReported(other + intact, "before it")
    }
    subject.expectReported([0] + intact, "a byte before it")
    subject.expectReported(Array(intact.dropFirst()), "without its first byte")
  }

  /// The end of a file written twice, from each multiple of 64 on.
  @Test(arguments: FormatVersion.allCases)
  func everyDoubledTailIsReported(version: FormatVersion) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    for start in stride(from: 0, to: intact.count, by: 64) {
      subject.expectReported(intact + intact[start...], "from \(start)")
    }
  }

  @Test(arguments: FormatVersion.allCases, [64, 512, 4096])
  func zeroedFilledAndDoubledSectorsAreReported(version: FormatVersion, sectorByteCount: Int) throws
  {
    let subject = try Subject(version)
    let intact = subject.intact
    let sectors = subject.sectors(sectorByteCount)
    for sector in sectors {
      let replacements =
        [UInt8(0), 0xa5, 0xff].map { [UInt8](repeating: $0, count: sectorByteCount) }
        + sectors.map { Array(intact[$0]) }
      for replacement in replacements where replacement != Array(intact[sector]) {
        var contents = intact
        contents.replaceSubrange(sector, with: replacement)
        subject.expectReported(contents, "sector at \(sector.lowerBound)")
      }
    }
  }

  @Test(arguments: FormatVersion.allCases, [512, 4096])
  func sectorsExchangedWithinAFileAreReported(version: FormatVersion, sectorByteCount: Int) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    let sectors = subject.sectors(sectorByteCount)
    for (number, left) in sectors.enumerated() {
      for right in sectors[(number + 1)...] where intact[left] != intact[right] {
        var contents = intact
        contents.replaceSubrange(left, with: intact[right])
        contents.replaceSubrange(right, with: intact[left])
        subject.expectReported(contents, "sectors at \(left.lowerBound) and \(right.lowerBound)")
      }
    }
  }

  /// Stale blocks, of an earlier save of the same shape: the same state, which differs in its
  /// identifiers only, and another one.
  @Test(arguments: [64, 512, 4096], [UInt8(1), 2])
  func sectorsOfAnotherSaveAreReported(sectorByteCount: Int, content: UInt8) throws {
    for version in FormatVersion.allCases {
      let subject = try Subject(version)
      let intact = subject.intact
      let file = subject.file
      let saves = try ReferenceFile.saves(version, contents: 1, content)
      try #require(saves[0].count == intact.count && saves[1].count == intact.count)
      let states = [ReferenceFile.state(), ReferenceFile.state(content: content)]
      // Every frame names its save.
      let frames = try file.open().index.chunks.entries.map {
        Int($0.frameOffset) / sectorByteCount
      }
      var exchangedCount = 0
      for sector in subject.sectors(sectorByteCount) {
        // Such as padding, and raw bytes of the same state.
        if saves[0][sector] == saves[1][sector] { continue }
        exchangedCount += 1
        for (mine, theirs) in [(0, 1), (1, 0)] {
          file.contents = saves[mine]
          file.contents.replaceSubrange(sector, with: saves[theirs][sector])
          #expect(subject.isReported(), "sector at \(sector.lowerBound)")
          #expect(
            subject.loadsOnlyWhatWasSaved(states[mine].tensors), "sector at \(sector.lowerBound)")
        }
      }
      #expect(exchangedCount >= Set(frames).count)
    }
  }

  /// A file that was overwritten by another save, and not to its end.
  @Test(arguments: FormatVersion.allCases, [UInt8(1), 2])
  func everyJoinOfTwoSavesIsReported(version: FormatVersion, content: UInt8) throws {
    let subject = try Subject(version)
    let intact = subject.intact
    let file = subject.file
    let saves = try ReferenceFile.saves(version, contents: 1, content)
    let states = [ReferenceFile.state(), ReferenceFile.state(content: content)]
    for cut in stride(from: 64, to: intact.count, by: 64) {
      for (first, second) in [(0, 1), (1, 0)] {
        file.contents = Array(saves[first][..<cut] + saves[second][cut...])
        #expect(subject.isReported(), "cut at \(cut)")
        #expect(subject.loadsOnlyWhatWasSaved(states[first].tensors), "cut at \(cut)")
      }
    }
  }

  @Test func chunksExchangedWithinAFileAreReported() throws {
    var state = SampleState()
    var generator = SeededGenerator(3)
    state.add("a", .uint8, [512], (0..<512).map { _ in generator.byte() })
    state.add("b", .uint8, [512], (0..<512).map { _ in generator.byte() })
    let disk = SimulatedDisk()
    try disk.writer().save(state, step: 1)
    let intact = try disk.contents(checkpointName(1, 1))
    let file = FileInMemory(intact)
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
    let file = FileInMemory(intact)
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
