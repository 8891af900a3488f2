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

// Goal: no two saves of a store ever share a generation, whatever lies in its directory.
@Suite struct GenerationTests {
  private let disk = SimulatedDisk()

  private func nextGeneration() throws -> UInt64 {
    try disk.writer().save(SampleState(1), step: 1).generation
  }

  @Test func generationsCountFromOne() throws {
    #expect(try nextGeneration() == 1)
    #expect(try nextGeneration() == 2)
  }

  @Test(arguments: [
    checkpointName(1, 41), checkpointName(1, 41) + ".damaged",
    ".step-000000001.g000041.0123456789abcdef0123456789abcdef.tmp",
  ])
  func theNameOfAnEmptyFileCounts(name: String) throws {
    try disk.saveRun(1)
    try disk.put(name, [])
    #expect(try nextGeneration() == 42)
  }

  @Test(arguments: ["step-1.ckpt", "step-1.ckpt.damaged", checkpointName(1, 7)])
  func theHeaderCountsWhateverTheNameSays(name: String) throws {
    try disk.saveRun(1)
    var file = EditableFile(try disk.contents(checkpointName(1, 1)))
    file.store(41, 8, at: 32)
    file.reseal()
    try disk.put(name, file.bytes)
    #expect(try nextGeneration() == 42)
  }

  @Test func theStartOfANewerFormatCounts() throws {
    try disk.saveRun(1)
    var start = FileStart(
      formatVersion: 999, readFeatures: FeatureSet(rawValue: .max), generation: 41,
      saveIdentifier: Identifier(high: 1, low: 2))
    start.headerByteCount = 1 << 20
    try disk.put("step-1.ckpt", start.encoded + [1, 2, 3])
    #expect(try nextGeneration() == 42)
  }

  @Test func theNameOfWhatIsNoFileCounts() throws {
    try disk.saveRun(1)
    try disk.device.backend.makeDirectory("/run/" + checkpointName(1, 41), permissions: 0o700)
    #expect(try nextGeneration() == 42)
  }

  @Test func theNameOfAFileThatCannotBeReadCounts() throws {
    try disk.saveRun(1)
    try disk.put(checkpointName(1, 41), [])
    for kind in [DiskOperation.Kind.open, .read, .status] {
      disk.faultPlan = FaultPlan([.init(kind, occurrence: 2, .error(EACCES), .times(30))])
      let store = try? disk.writer()
      disk.faultPlan = FaultPlan()
      guard let store else { continue }
      #expect(try store.save(SampleState(1), step: 1).generation >= 42)
    }
    #expect(try nextGeneration() >= 42)
  }

  @Test func foreignNamesDoNotCount() throws {
    try disk.saveRun(1)
    try disk.put("step-1.g000041.ckpt", [])
    try disk.put("step-000000001.g0000041.ckpt", [])
    #expect(try nextGeneration() == 2)
  }

  @Test func aFailedSaveSpendsItsGeneration() throws {
    let store = try disk.writer()
    for kind in [DiskOperation.Kind.open, .write, .sync, .close, .rename] {
      disk.faultPlan = FaultPlan([.init(kind, .error(EIO), .times(2))])
      #expect(errorCode { try store.save(SampleState(1), step: 1) } != nil)
      disk.faultPlan = FaultPlan()
    }
    #expect(try store.save(SampleState(1), step: 1).generation == 6)
  }

  @Test func theLastGenerationIsNotWrappedAround() throws {
    _ = try disk.writer()
    try disk.put("step-000000001.g9223372036854775807.ckpt", [])
    #expect(errorCode { _ = try nextGeneration() } == .overLimit)
  }

  @Test func entriesTellConditionAndOrder() throws {
    try disk.saveRun(1, 2)
    try disk.put(checkpointName(8, 8), [1])
    try disk.put(checkpointName(7, 7) + ".damaged", disk.contents(checkpointName(1, 1)))
    let entries = try disk.reader().entries()
    #expect(entries.map(\.generation) == [8, 7, 2, 1])
    #expect(entries.map(\.step) == [8, 7, 2, 1])
    #expect(entries.map(\.role) == [.candidate, .damaged, .candidate, .candidate])
    #expect(entries.map { $0.problem?.code } == [.corrupted, .corrupted, nil, nil])
    let paths = try Verifier(on: disk.device, threads: 1).files(at: "/run")
    #expect(paths == [(1, 1), (2, 2), (8, 8)].map { "/run/" + checkpointName($0.0, $0.1) })
  }
}
