import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: whatever a file holds, salvage ends soon, with bounded memory, and never gives a wrong byte.
// Method: files that somebody made up, frames that overlap by the hundred thousand, two candidates for one
// chunk, two saves in one file; and random damage from a seed.
@Suite struct SalvageHostileTests {
  /// A frame of the fixture's save with fields of its own.
  private func frame(
    _ fixture: SalvageFixture, like entry: ChunkEntry, _ change: (inout ChunkFrame) -> Void
  ) -> [UInt8] {
    var frame = entry.frame(in: fixture.index.header)
    change(&frame)
    return frame.encoded
  }

  @Test(arguments: FormatVersion.allCases)
  func ofTwoCandidatesTheOneIsTakenWhoseBytesFit(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    let entry = fixture.chunks[1]
    // Whole copies of its frame with other bytes behind, in front of the file's own and behind it.
    let lie = frame(fixture, like: entry) { _ in } + [UInt8](repeating: 7, count: 256)
    for place in [Int(fixture.chunks[0].frameOffset), Int(entry.endOffset)] {
      var bytes = fixture.damaging(["chunk table"])
      for _ in 0..<20 { bytes.insert(contentsOf: lie, at: place) }
      try fixture.requireRecovered(fixture.state.tensors, fixture.salvage(bytes), "\(place)")
    }
    // The file's own is damaged, and a copy is somewhere else.
    var bytes = fixture.intact
    bytes += Array(fixture.intact[Int(entry.frameOffset)..<Int(entry.endOffset)])
    bytes[Int(entry.storedOffset)] ^= 1
    try fixture.requireRecovered(fixture.state.tensors, fixture.salvage(bytes), "moved")
  }

  @Test(arguments: FormatVersion.allCases)
  func frameThatLiesIsNotBelieved(version: FormatVersion) throws {
    let fixture = try SalvageFixture(version)
    let entry = fixture.chunks[0]
    let changes: [(inout ChunkFrame) -> Void] = [
      { $0.identity.tensor = 1 }, { $0.identity.tensor = .max }, { $0.identity.chunk = .max },
      { $0.identity.rawByteCount = .max }, { $0.identity.rawByteCount = 0 },
      { $0.storedByteCount = .max }, { $0.storedByteCount = 0 }, { $0.rawOffset = .max },
      { $0.codec = version.codec }, { $0.codec = CodecIdentifier(rawValue: 77) },
      {
        $0.codec = version.codec
        $0.identity.rawByteCount = 64 << 20
        $0.storedByteCount = 40
      },
    ]
    for parts in [
      ["chunk table"], ["front table", "trailer"], ["header", "front table", "trailer"],
    ] {
      for (number, change) in changes.enumerated() {
        var bytes = fixture.damaging(parts)
        bytes.overwrite(at: Int(entry.frameOffset), with: frame(fixture, like: entry, change))
        let result = try fixture.salvage(bytes)
        for tensor in result?.report.tensors.filter(\.isRecovered) ?? [] where parts.count == 1 {
          let original = fixture.state.tensors.first { $0.descriptor == tensor.descriptor }
          #expect(
            try result?.reader?.read(tensor.descriptor.name) == original?.bytes,
            "\(parts) \(number)")
        }
        #expect(result?.reader?.verify(.full).isIntact != false, "\(parts) \(number)")
      }
    }
  }

  @Test(.timeLimit(.minutes(1)), arguments: [true, false])
  func aHundredThousandOverlappingFramesEndSoon(hasTable: Bool) throws {
    let fixture = try SalvageFixture(.v2)
    var bytes = fixture.damaging(hasTable ? ["chunk table"] : ["front table", "trailer"])
    let count = 100_000
    bytes.reserveCapacity(bytes.count + count * 64)
    let entry = fixture.chunks[0]
    for number in 0..<count {
      bytes += frame(fixture, like: entry) {
        if !hasTable {
          $0.identity.tensor = UInt32(number) + 1000
          $0.identity.chunk = 0
        }
        // Each claims all that is behind it, as far as its place allows.
        $0.identity.rawByteCount = hasTable ? 256 : UInt32((count - number - 1) * 64)
        $0.storedByteCount = $0.identity.rawByteCount
        $0.rawChecksum = $0.storedChecksum
      }
    }
    let result = try fixture.salvage(bytes, threads: 2)
    if hasTable {
      try fixture.requireRecovered(fixture.state.tensors, result, "flooded")
      #expect(result?.report.isReadingCutShort == false)
    } else {
      // What is made up does not verify, and costs the file's own chunks nothing.
      #expect(result?.report.tensors.filter(\.isRecovered).count == 20)
      #expect(result?.report.lostTensorCount ?? 0 > 0)
      #expect(result?.report.isReadingCutShort == true)
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func chunksBehindAFloodThatSpendsTheBudgetAreToldToBeLost() throws {
    let fixture = try SalvageFixture(.v2)
    var bytes = fixture.damaging(["front table", "trailer"])
    let count = 4000
    // Ever smaller ones, so that in the end no chunk of 64 bytes or more may be read.
    let flood = (0..<count).flatMap { number in
      frame(fixture, like: fixture.chunks[0]) {
        $0.identity.tensor = UInt32(number) + 1000
        $0.identity.chunk = 0
        $0.identity.rawByteCount = UInt32(count - number) * 64
        $0.storedByteCount = $0.identity.rawByteCount
        $0.rawChecksum = $0.storedChecksum
      }
    }
    bytes.insert(contentsOf: flood, at: Int(fixture.chunks[0].frameOffset))
    bytes += [UInt8](repeating: 0, count: count * 64)  // what they claim must be there
    let report = try #require(try fixture.salvage(bytes)?.report)
    // The numbers of the flood have four digits.
    let own = report.tensors.filter { $0.descriptor.name.utf8.count < "salvaged/1000".utf8.count }
    #expect(own.contains { !$0.isRecovered }, "the flood cost chunks of the file's own")
    #expect(report.isReadingCutShort && !report.isComplete)
    #expect(report.losses.contains { $0.contains("not looked at") })
  }

  /// Saves that somebody made up are counted up to a bound, and cost the file's own nothing.
  @Test func framesOfManySavesDoNotHideTheFilesOwn() throws {
    let fixture = try SalvageFixture(.v2)
    var bytes = fixture.damaging(["chunk table"])
    for number in 1...400 {
      bytes += frame(fixture, like: fixture.chunks[0]) {
        $0.identity.saveIdentifier = Identifier(high: UInt64(number), low: 1)
      }
    }
    try fixture.requireRecovered(fixture.state.tensors, fixture.salvage(bytes), "400 saves")
  }

  /// Sealed, and yet no table: without a header nothing tells of it but itself.
  @Test func tableThatIsNoneIsNotBelieved() throws {
    let fixture = try SalvageFixture(.v2)
    let changes: [(inout [UInt8]) -> Void] = [
      { $0 = Array($0.prefix(3)) }, { $0 = Array($0.prefix(20)) }, { $0[4] = 1 }, { $0[8] = 0 },
      { $0.overwrite(at: 20, with: [255, 255, 255, 0]) },
      { $0.overwrite(at: 24, with: [UInt8](repeating: 255, count: 8)) },
      { $0[9] = 255 },
    ]
    for (number, change) in changes.enumerated() {
      var table = fixture.index.tensors.encoded
      change(&table)
      var bytes = fixture.damaging(["header", "trailer"])
      bytes.overwrite(at: 4096, with: FrontTable.encoded(table, in: fixture.index.header).bytes)
      let result = try #require(try fixture.salvage(bytes))
      #expect(result.report.areTablesLost, "\(number)")
      #expect(result.reader?.verify(.full).isIntact != false, "\(number)")
    }
  }

  @Test func aDiskThatRunsFullIsToldAndLeavesNothing() throws {
    let fixture = try SalvageFixture(.v2)
    let disk = SimulatedDisk()
    let code = errorCode {
      _ = try fixture.salvage(fixture.intact, on: disk) { disk in
        disk.faultPlan = FaultPlan([.init(.write, .error(ENOSPC), .always)])
      }
    }
    #expect(code == .outOfSpace)
    #expect(disk.names(inDirectoryAt: "/") == ["damaged"])
  }

  @Test(arguments: FormatVersion.allCases)
  func ofTwoSavesInOneFileNoTensorIsMixed(version: FormatVersion) throws {
    let saves = try ReferenceFile.saves(version, contents: 1, 2)
    let fixture = try SalvageFixture(version)
    let second = ReferenceFile.state(content: 2).tensors
    let half = fixture.intact.count / 2 / 64 * 64
    let mixtures: [[UInt8]] = [
      saves[0] + saves[1], saves[1] + saves[0],
      [UInt8](saves[0].prefix(half)) + saves[1].dropFirst(half),
      [UInt8](saves[1].prefix(half)) + saves[0].dropFirst(half),
      [UInt8](saves[1].prefix(4096)) + saves[0].dropFirst(4096),
      [UInt8](saves[0].prefix(8192)) + saves[1].dropFirst(4096),
    ]
    for bytes in mixtures {
      let result = try #require(try fixture.salvage(bytes))
      let reader = try #require(result.reader)
      let recovered = result.report.tensors.filter(\.isRecovered).map(\.descriptor.name)
      #expect(reader.verify(.full).isIntact)
      #expect(!recovered.isEmpty)
      let isFrom = [fixture.state.tensors, second].map { tensors in
        tensors.allSatisfy {
          !recovered.contains($0.descriptor.name)
            || (try? reader.read($0.descriptor.name)) == $0.bytes
        }
      }
      #expect(isFrom.contains(true))
    }
  }

  @Test func whatIsNoCheckpointOrFromTheFutureIsRefused() throws {
    let fixture = try SalvageFixture(.v2)
    var generator = SeededGenerator(3)
    for count in [0, 1, 63, 64, 4096, 10_000] {
      #expect(try fixture.salvage([UInt8](repeating: 0, count: count)) == nil)
      #expect(try fixture.salvage((0..<count).map { _ in generator.byte() }) == nil)
    }
    var bytes = fixture.intact
    for (version, feature) in [(UInt32(3), UInt64(0)), (2, 4)] {
      let start = FileStart(
        formatVersion: version, readFeatures: FeatureSet(rawValue: feature), generation: 1,
        saveIdentifier: fixture.index.header.saveIdentifier)
      bytes.overwrite(at: 0, with: start.encoded)
      #expect(errorCode { _ = try fixture.salvage(bytes) } == .unsupported)
    }
  }

  @Test func nothingIsOverwrittenAndNothingStaysAfterAFailure() throws {
    let fixture = try SalvageFixture(.v2)
    let disk = SimulatedDisk()
    #expect(try fixture.salvage(fixture.intact, on: disk)?.reader != nil)
    let rescued = disk.contents(ofFileAt: "/rescued")
    #expect(
      errorCode { _ = try fixture.salvage(fixture.intact, name: "again", on: disk) }
        == .alreadyExists)
    #expect(disk.contents(ofFileAt: "/rescued") == rescued)
    let salvager = Salvager(on: disk.device, threads: 1)
    for (target, code) in [
      ("/none/x", CheckpointError.Code.notFound), ("/damaged", .alreadyExists),
      ("/", .alreadyExists),
      ("/step-000000501.g000001.ckpt", .invalidState),
    ] {
      #expect(errorCode { _ = try salvager.salvage("/damaged", to: target) } == code, "\(target)")
    }
    #expect(errorCode { _ = try salvager.salvage("/nowhere", to: "/new") } == .notFound)
    let name = "/" + checkpointName(500, 1)
    #expect(try salvager.salvage("/damaged", to: name).target == name)
    #expect(
      disk.names(inDirectoryAt: "/")?.sorted()
        == ["again", "damaged", "rescued", checkpointName(500, 1)].sorted())
  }

  @Test(arguments: FormatVersion.allCases, 0..<4)
  func randomDamageNeverMakesAWrongByte(version: FormatVersion, seed: Int) throws {
    let fixture = try SalvageFixture(version)
    var generator = SeededGenerator(UInt64(seed) + 77)
    var recoveredCount = 0
    for round in 0..<100 {
      var bytes = fixture.intact
      var damaged: [Range<Int>] = []
      for _ in 0...generator.below(6) {
        let start = generator.below(bytes.count)
        let end = min(
          bytes.count, start + 1 + generator.below([1, 8, 64, 512, 4096][generator.below(5)]))
        damaged.append(start..<end)
        for offset in start..<end { bytes[offset] = generator.chance(50) ? 0 : generator.byte() }
      }
      if generator.chance(20) { bytes.removeLast(generator.below(bytes.count)) }
      let comment: Comment = "seed \(seed), round \(round): \(damaged)"
      guard let result = try fixture.salvage(bytes) else { continue }
      for tensor in result.report.tensors where tensor.isRecovered {
        guard !result.report.areTablesLost else { continue }
        let original = fixture.state.tensors.first { $0.descriptor == tensor.descriptor }
        #expect(try result.reader?.read(tensor.descriptor.name) == original?.bytes, comment)
        recoveredCount += 1
      }
      #expect(result.reader?.verify(.full).isIntact != false, comment)
      // Whatever is whole comes back where frames and a table are whole.
      guard !damaged.contains(where: { $0.overlaps(fixture.frontTable) }),
        bytes.count == fixture.intact.count
      else { continue }
      let lost = fixture.chunks.indices.filter { number in
        let entry = fixture.chunks[number]
        return damaged.contains {
          $0.overlaps(Int(entry.frameOffset)..<fixture.stored(entry).upperBound)
        }
      }
      let expected = fixture.tensors(without: Set(lost)).map(\.descriptor.name)
      let recovered = Set(result.report.tensors.filter(\.isRecovered).map(\.descriptor.name))
      #expect(recovered.isSuperset(of: expected), comment)
    }
    #expect(recoveredCount > 500)
  }
}
