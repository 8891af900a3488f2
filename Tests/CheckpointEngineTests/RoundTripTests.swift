import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: what was saved is what is read, whatever it is.
// Method: states with everything the format can hold, and random ones, through every setting, on
// the simulated disk and on a real one. The oracle keeps the bytes in arrays.
@Suite struct RoundTripTests {
  private static let settings: [(chunkByteCount: Int, compression: Compression)] = [
    (64, .always), (64, .none), (4096, .always), (1 << 20, .none),
  ]

  private func roundTrip(_ state: SampleState, _ options: StoreOptions, _ path: String) throws {
    let receipt = try CheckpointStore(path, for: .writing, options: options)
      .save(state, step: 7)
    #expect(receipt.stateByteCount == UInt64(state.stream.count))
    let store = try CheckpointStore(path, for: .reading, options: options)
    let recovery = try #require(try store.recover())
    #expect(recovery.reader.byteCount == receipt.byteCount)
    #expect(recovery.skipped.isEmpty)
    try recovery.reader.requireHolds(state)
  }

  @Test(arguments: settings.indices)
  func everyDTypeComesBackBitForBit(setting: Int) throws {
    let (chunkByteCount, compression) = Self.settings[setting]
    let disk = SimulatedDisk()
    let options = options(on: disk, chunkByteCount: chunkByteCount, compression: compression)
    try roundTrip(.everyDType, options, "/run")
    try withTemporaryDirectory { directory in
      var options = posixOptions(chunkByteCount: chunkByteCount)
      options.compression = compression
      try roundTrip(.everyDType, options, directory + "/a/b")
    }
  }

  @Test func randomStatesComeBackBitForBit() throws {
    for seed in UInt64(1)...300 {
      var generator = SeededGenerator(seed &* 31)
      let state = SampleState.random(seed)
      let disk = SimulatedDisk(seed: seed)
      let options = options(
        on: disk, chunkByteCount: generator.pick([64, 128, 4096, 1 << 20]),
        threads: generator.pick([1, 1, 2, 3]), compression: generator.pick([.always, .none]))
      do {
        try roundTrip(state, options, "/run")
      } catch {
        Issue.record("SampleState.random(\(seed)): \(error)")
      }
      #expect(disk.openDescriptorCount == 0)
    }
  }

  @Test func randomStatesComeBackFromARealDisk() throws {
    try withTemporaryDirectory { directory in
      for seed in UInt64(1000)..<1040 {
        do {
          try roundTrip(.random(seed), posixOptions(chunkByteCount: 128), directory + "/\(seed)")
        } catch {
          Issue.record("SampleState.random(\(seed)): \(error)")
        }
      }
    }
  }

  @Test func aStateWithoutTensorsIsACheckpoint() throws {
    try roundTrip(SampleState(), options(on: SimulatedDisk()), "/run")
  }

  @Test func aliasesShareBytesAndAreReadByTheirOwnNames() throws {
    var state = SampleState(1)
    state.alias("tied", of: "weight")
    state.alias("tied again", of: "tied")
    let disk = SimulatedDisk()
    let receipt = try disk.writer().save(state, step: 1)
    let reader = try #require(try disk.reader().recover()).reader
    try reader.requireHolds(state)
    #expect(receipt.stateByteCount == 208)
    #expect(reader.index.chunks.entries.count == 5)
  }

  @Test func everyTypeOfValueComesBack() throws {
    var state = SampleState()
    state.metadata[.state, "bool"] = .bool(true)
    state.metadata[.state, ""] = .bool(false)
    state.metadata[.state, "int64"] = .int64(.min)
    state.metadata[.state, "uint64"] = .uint64(.max)
    state.metadata[.state, "nan"] = .float64(bits: 0x7ff0_dead_beef_0001)
    state.metadata[.environment, "negative zero"] = .float64(-0.0)
    state.metadata[.metric, "loss"] = .float64(.infinity)
    state.metadata[.environment, "text"] = .string("e\u{301} \u{0} \n \u{1f600}")
    state.metadata[.environment, "no text"] = .string("")
    state.metadata[.state, "bytes"] = .bytes([0, 255, 0])
    state.metadata[.state, "json"] = .json("[{}]")
    state.metadata[.stateVersion, "optimizer"] = .int64(3)
    let disk = SimulatedDisk()
    try roundTrip(state, options(on: disk), "/run")
    let read = try #require(try disk.reader().recover()).reader.metadata
    #expect(read == state.metadata)
  }

  @Test func theHeaderTellsWhatWasSaved() throws {
    let disk = SimulatedDisk()
    let receipt = try disk.writer().save(SampleState(5), step: 5)
    let header = try #require(try disk.reader().recover()).reader.header
    #expect(header.step == 5)
    #expect(header.generation == 1)
    #expect(header.saveIdentifier == receipt.saveIdentifier)
    #expect(header.checkpointIdentifier == receipt.checkpointIdentifier)
    #expect(header.parentIdentifier == nil)
    #expect(header.writer == "CheckpointEngineTests")
    #expect(header.savedAt > 1_600_000_000_000_000_000)
    #expect(receipt.path == "/run/" + checkpointName(5, 1))
  }

  @Test func aLongWriterNameIsCutBetweenCharacters() throws {
    let disk = SimulatedDisk()
    var options = options(on: disk)
    options.writer = "x" + String(repeating: "é", count: 200)
    try CheckpointStore("/run", for: .writing, options: options).save(SampleState(1), step: 1)
    let header = try #require(try disk.reader().recover()).reader.header
    #expect(header.writer == "x" + String(repeating: "é", count: 127))
  }
}
