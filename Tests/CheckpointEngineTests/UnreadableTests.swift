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

// Goal: what the disk will not give is reported as unreadable and never as damaged, everything else
// of the file still loads, and verification goes on behind it.
// Method: every part and every 64 bytes of the reference file become a bad sector in turn.
@Suite struct UnreadableTests {
  private static let name = checkpointName(500, 1)
  private static let path = SimulatedDisk.storePath + "/" + name
  private static let tensors = ReferenceFile.state().tensors

  private let intact: [UInt8]
  private let index: FileIndex
  private let disk: SimulatedDisk

  init() throws {
    intact = try ReferenceFile.bytes(.current)
    index = try FileInMemory(intact).open().index
    disk = SimulatedDisk()
    try disk.writer().save(SampleState(), step: 500)
    disk.replace(Self.name, with: intact)
  }

  // MARK: What the file consists of

  /// What opening reads: without one of these there is no reader.
  private var parts: [Range<Int>] {
    let sections = SectionKind.required.map(index.trailer.section)
    return [0..<4096, 4096..<4128, intact.count - Trailer.byteCount..<intact.count]
      + sections.map { Int($0.offset)..<Int($0.endOffset) }
  }

  private func place(_ chunk: ChunkEntry) -> Range<Int> {
    Int(chunk.frameOffset)..<Int(chunk.endOffset)
  }

  private func storedPlace(_ chunk: ChunkEntry) -> Range<Int> {
    let start = Int(chunk.storedOffset)
    return start..<start + Int(chunk.storedByteCount)
  }

  /// Everything else: the front table, zeros between parts, sections of kinds to come.
  private var otherParts: [Range<Int>] {
    var parts = [4096..<Int(index.chunkRegion.lowerBound)]
    var end = Int(index.chunkRegion.upperBound)
    for section in index.trailer.sections {
      parts.append(end..<Int(section.offset))
      if !SectionKind.required.contains(section.kind) {
        parts.append(Int(section.offset)..<Int(section.endOffset))
      }
      end = Int(section.endOffset)
    }
    return (parts + [end..<intact.count - Trailer.byteCount]).filter { !$0.isEmpty }
  }

  private func owner(_ chunk: ChunkEntry) -> String {
    "\(Self.tensors[Int(chunk.tensor)].descriptor.name) \(chunk.chunk)"
  }

  // MARK: Checks

  /// Makes `range` unreadable and compares verification and loading with what must come of it.
  private func check(_ range: Range<Int>) throws {
    let disk = disk.copy()
    #expect(disk.makeUnreadable(fileAt: Self.path, range: range))
    let report = Verifier(on: disk.device, threads: 1).verify(Self.path)
    #expect(!report.findings.isEmpty, "\(range)")
    #expect(report.findings.allSatisfy { $0.code == .unreadable && $0.errno == EIO }, "\(range)")
    #expect(report.isUnreadable && !report.isDamaged, "\(range)")

    if parts.contains(where: { $0.overlaps(range) }) {
      #expect(report.findings.count == 1, "\(range)")
      #expect((report.header == nil) == range.overlaps(0..<4096), "\(range)")
      #expect(errorCode { _ = try open(disk) } == .unreadable, "\(range)")
      return
    }
    let chunks = index.chunks.entries
    let hit = Set(chunks.filter { place($0).overlaps(range) }.map(owner))
    let named = report.findings.compactMap { finding -> String? in
      guard let location = finding.location, let tensor = location.tensor else { return nil }
      return "\(tensor) \(location.chunk ?? -1)"
    }
    #expect(Set(named) == hit && named.count == hit.count, "\(range)")
    let others = otherParts.count { $0.overlaps(range) }
    #expect((report.findings.count > named.count) == (others > 0), "\(range)")
    #expect(report.checkedChunkCount == chunks.count)

    let reader = try open(disk)
    for tensor in Self.tensors {
      let name = tensor.descriptor.name
      let isHit = chunks.contains {
        storedPlace($0).overlaps(range)
          && Self.tensors[Int($0.tensor)].descriptor.name == tensor.aliasOf ?? name
      }
      if isHit {
        #expect(errorCode { _ = try reader.read(name) } == .unreadable, "\(range), \(name)")
      } else {
        #expect(try reader.read(name) == tensor.bytes, "\(range), \(name)")
      }
    }
  }

  private func open(_ disk: SimulatedDisk) throws -> CheckpointReader {
    try CheckpointReader.open(path: Self.path, on: disk.device, threads: 1)
  }

  @Test func everyPartThatCannotBeReadIsNamedAndSparesTheRest() throws {
    let chunks = index.chunks.entries
    let frames = chunks.map { Int($0.frameOffset)..<Int($0.storedOffset) }
    let zeros = chunks.map { storedPlace($0).upperBound..<Int($0.endOffset) }
    let all = parts + otherParts + frames + zeros + chunks.map(storedPlace) + chunks.map(place)
    for part in all where !part.isEmpty {
      try check(part)
      try check(part.lowerBound..<part.lowerBound + 1)
      try check(part.upperBound - 1..<part.upperBound)
    }
  }

  @Test(arguments: [64, 512, 4096])
  func everySectorThatCannotBeReadIsReported(sectorByteCount: Int) throws {
    for start in stride(from: 0, to: intact.count, by: sectorByteCount) {
      try check(start..<start + sectorByteCount)
    }
  }

  @Test func damageBehindAnUnreadableChunkIsStillFound() throws {
    let chunks = index.chunks.entries
    for unreadable in chunks {
      for damaged in chunks where damaged != unreadable {
        let disk = disk.copy()
        var bytes = intact
        bytes[Int(damaged.storedOffset)] ^= 1
        disk.replace(Self.name, with: bytes)
        disk.makeUnreadable(fileAt: Self.path, range: storedPlace(unreadable))
        let report = try open(disk).verify(.full)
        let expected = [(unreadable, "unreadable"), (damaged, "corrupted")]
          .sorted { $0.0.frameOffset < $1.0.frameOffset }
          .map { "\(owner($0)) \($1)" }
        let found = report.findings.map {
          "\($0.location?.tensor ?? "") \($0.location?.chunk ?? -1) \($0.code)"
        }
        #expect(found == expected)
      }
    }
  }

  /// The chunks are read together, then one by one, and each of these reads once or more often.
  @Test func damageInAChunkThatIsReadableAgainIsStillFound() throws {
    let chunk = index.chunks.entries[1]
    var bytes = intact
    bytes[Int(chunk.storedOffset)] ^= 1
    disk.replace(Self.name, with: bytes)
    let reader = try open(disk)
    let start = disk.operationCount
    _ = reader.verify(.full)
    let readCount = disk.operations[start...].count { $0.kind == .read }
    for occurrence in 0..<readCount {
      for count in 1...6 {
        disk.faultPlan = FaultPlan([
          .init(.read, occurrence: occurrence, .error(EIO), .times(count))
        ])
        let report = reader.verify(.full)
        #expect(
          report.isDamaged || report.findings.contains { $0.location?.chunk == 1 },
          "\(count) reads from \(occurrence)")
      }
    }
  }

  @Test func rowsBesideAnUnreadableChunkLoad() throws {
    let tensor = Self.tensors[0]
    let rowByteCount = tensor.bytes.count / tensor.descriptor.shape[0]
    for chunk in index.chunks.entries where chunk.tensor == 0 {
      let disk = disk.copy()
      disk.makeUnreadable(fileAt: Self.path, range: storedPlace(chunk))
      let reader = try open(disk)
      let raw = Int(chunk.chunk) * ReferenceFile.chunkByteCount
      for row in 0..<tensor.descriptor.shape[0] {
        let place = row * rowByteCount..<(row + 1) * rowByteCount
        let isHit = place.overlaps(raw..<raw + Int(chunk.rawByteCount))
        let bytes = try? reader.read(rows: row..<row + 1, of: tensor.descriptor.name)
        #expect(bytes == (isHit ? nil : Array(tensor.bytes[place])))
      }
    }
  }

  @Test func recoveryStopsAtANewestCheckpointThatCannotBeRead() throws {
    let disk = SimulatedDisk()
    try disk.saveRun(1, 2)
    let path = SimulatedDisk.storePath + "/" + checkpointName(2, 2)
    let byteCount = try disk.contents(checkpointName(2, 2)).count
    for start in stride(from: 0, to: byteCount, by: 512) {
      let disk = disk.copy()
      disk.makeUnreadable(fileAt: path, range: start..<start + 512)
      let store = try disk.reader()
      #expect(errorCode { _ = try store.recover() } == .unreadable, "sector at \(start)")
      let older = try #require(try store.recover(.generation(1)))
      try older.reader.requireHolds(SampleState(1))
    }
  }
}
