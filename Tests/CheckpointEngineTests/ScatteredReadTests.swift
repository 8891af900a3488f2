import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: small tensors that are stored and read together go straight to where they belong, and what is wrong
// is one tensor's, as if it had been read alone.
// Method: tensors of some KiB of noise on the simulated disk, each a chunk; reads that fail or are short.
@Suite struct ScatteredReadTests {
  private static let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)

  /// Noise but for every `encoded`th, with empty ones and maybe other names of some between them.
  private func state(
    _ count: Int = 60, encoded: Int = .max, isTied: Bool = false
  ) -> SampleState {
    var generator = SeededGenerator(31)
    var state = SampleState()
    for number in 0..<count {
      let size = number % 9 == 8 ? 0 : 1024 + generator.below(3000)
      let isEncoded = number % encoded == encoded - 1
      let bytes = (0..<size).map { _ in isEncoded ? 7 : generator.byte() }
      state.add("t\(number)", .uint8, [size], bytes)
      if isTied, number % 7 == 6 { state.alias("tied\(number)", of: "t\(number - 1)") }
    }
    return state
  }

  private func saved(_ state: SampleState) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    try disk.writer(4096).save(state, step: 1)
    return disk
  }

  private func open(_ disk: SimulatedDisk, threads: Int = 1) throws -> CheckpointReader {
    try CheckpointReader.open(path: Self.path, on: disk.device, threads: threads)
  }

  private func read(
    _ tensors: some Sequence<SampleState.Tensor>, from reader: CheckpointReader
  ) throws -> [[UInt8]] {
    try reader.readTogether(tensors.map(\.descriptor.name), sizes: tensors.map(\.bytes.count))
  }

  /// The reads that `body` makes.
  private func reads(of disk: SimulatedDisk, _ body: () throws -> Void) rethrows
    -> [DiskOperation]
  {
    let start = disk.operationCount
    try body()
    return disk.operations[start...].filter { $0.kind == .read }
  }

  @Test(arguments: [1, 3], [Int.max, 2, 5])
  func tensorsInAnyOrderAreWhatWasSaved(threads: Int, encoded: Int) throws {
    let state = state(encoded: encoded, isTied: encoded == 5)
    let disk = try saved(state)
    let reader = try open(disk, threads: threads)
    let codecs = Set(reader.index.chunks.entries.map(\.codec))
    #expect(codecs == (encoded == .max ? [.stored] : [.stored, FormatVersion.current.codec]))
    var generator = SeededGenerator(8)
    for round in 0..<20 {
      // In order, shuffled, some of them, and some of them more than once.
      var tensors = state.tensors
      if round % 4 == 1 { tensors.shuffle(using: &generator) }
      if round % 4 == 2 { tensors = tensors.filter { _ in generator.chance(40) } }
      if round % 4 == 3 { tensors = (0..<90).map { _ in generator.pick(state.tensors) } }
      #expect(try read(tensors, from: reader) == tensors.map(\.bytes))
    }
  }

  @Test func neighboursAreReadAtOnceIntoMemoryThatIsFarApart() throws {
    let state = state(12)
    let disk = try saved(state)
    let reader = try open(disk)
    let calls = try reads(of: disk) {
      // The last of them is where the first might be expected.
      let tensors = state.tensors.reversed()
      let bytes = try read(tensors, from: reader)
      #expect(bytes == tensors.map(\.bytes))
    }
    #expect(calls.count == 1)
  }

  /// The system takes 1024 places in a call: as many as these are copied to theirs.
  @Test(arguments: [1, 511, 512, 513, 700])
  func manyNeighboursAreReadAtOnceToo(count: Int) throws {
    var (state, generator) = (SampleState(), SeededGenerator(2))
    for number in 0..<count { state.add("t\(number)", .uint8, [1024], generator.bytes(1024)) }
    let disk = try saved(state)
    let reader = try open(disk)
    let calls = try reads(of: disk) {
      let bytes = try read(state.tensors, from: reader)
      #expect(bytes == state.tensors.map(\.bytes))
    }
    #expect(calls.count == 1)
  }

  @Test(arguments: [1, 2]) func damageIsThatOfItsTensor(threads: Int) throws {
    let state = state()
    let disk = try saved(state)
    let intact = try disk.contents(checkpointName(1, 1))
    for chunk in try open(disk).index.chunks.entries {
      var bytes = intact
      bytes[Int(chunk.storedOffset) + Int(chunk.storedByteCount) - 1] ^= 0x80
      disk.replace(checkpointName(1, 1), with: bytes)
      let reader = try open(disk, threads: threads)
      do {
        _ = try read(state.tensors, from: reader)
        Issue.record("a damaged tensor was read")
      } catch let error as CheckpointError {
        #expect(error.code == .corrupted && error.location?.offset == chunk.storedOffset)
        let name = state.tensors[Int(chunk.tensor)].descriptor.name
        #expect(error.location?.tensor == name)
        #expect(throws: error) { _ = try reader.read(name) }
        let others = state.tensors.filter { $0.descriptor.name != name }
        #expect(try read(others, from: reader) == others.map(\.bytes))
      }
    }
  }

  @Test(arguments: [1, 2]) func whatIsUnreadableIsThatTensorAlone(threads: Int) throws {
    let state = state()
    let chunks = try open(try saved(state)).index.chunks.entries
    for chunk in [chunks[0], chunks[17], chunks[chunks.count - 1]] {
      let disk = try saved(state)
      let start = Int(chunk.storedOffset) + 100
      #expect(disk.makeUnreadable(fileAt: Self.path, range: start..<start + 1))
      let reader = try open(disk, threads: threads)
      let hit = state.tensors[Int(chunk.tensor)].descriptor.name
      do {
        _ = try read(state.tensors, from: reader)
        Issue.record("an unreadable tensor was read")
      } catch let error as CheckpointError {
        #expect(error.code == .unreadable && error.errno == EIO)
        #expect(error.location?.offset == chunk.storedOffset)
      }
      // What lies around it is read with the bad part between, and then without.
      let others = state.tensors.filter { $0.descriptor.name != hit }
      #expect(try read(others, from: reader) == others.map(\.bytes))
    }
  }

  @Test func aReadThatFailsOnceOrIsShortOrInterruptedIsMadeUpFor() throws {
    let state = state(20)
    let disk = try saved(state)
    let reader = try open(disk)
    let expected = state.tensors.map(\.bytes)
    let effects: [FaultPlan.Effect] =
      [.error(EIO), .error(EINTR), .error(ENOMEM), .errorAfterEffect(EIO)]
      + [1, 1000, 1500, 5000, 20_000].map { .shortTransfer(byteCount: $0) }
    for effect in effects {
      disk.faultPlan = FaultPlan([.init(.read, effect)])
      let calls = try reads(of: disk) {
        let bytes = try read(state.tensors, from: reader)
        #expect(bytes == expected, "\(effect)")
      }
      // An interrupted call is made again; for any other each tensor is read alone.
      let stored = reader.index.chunks.entries.count
      #expect(calls.count == (effect == .error(EINTR) ? 2 : 1 + stored), "\(effect)")
    }
    disk.faultPlan = FaultPlan([.init(.read, .shortTransfer(byteCount: 700), .always)])
    #expect(try read(state.tensors, from: reader) == expected)
    disk.faultPlan = FaultPlan([.init(.read, .error(EIO), .always)])
    #expect(errorCode { _ = try read(state.tensors, from: reader) } == .unreadable)
  }

  /// What stands in front of a disk need not know of such reads.
  @Test func aBackendWithoutSuchReadsIsAskedForEachPlace() throws {
    let state = state()
    let disk = try saved(state)
    let counting = CountingBackend(disk.device.backend)
    let device = StorageDevice(
      backend: counting, timeSource: disk.device.timeSource, randomBits: disk.device.randomBits)
    let reader = try CheckpointReader.open(path: Self.path, on: device, threads: 1)
    let opening = counting.readCount.withLock { $0 }
    #expect(try read(state.tensors, from: reader) == state.tensors.map(\.bytes))
    // A tensor, what is between it and the next, and so on.
    let chunkCount = reader.index.chunks.entries.count
    #expect(counting.readCount.withLock { $0 } == opening + 2 * chunkCount - 1)
  }
}

private final class CountingBackend: ForwardingBackend {
  let base: any StorageBackend
  let readCount = Protected(0)

  init(_ base: any StorageBackend) { self.base = base }

  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    readCount.withLock { $0 += 1 }
    return try unsafe base.read(descriptor, into: buffer, at: offset)
  }
}
