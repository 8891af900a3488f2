import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Foundation
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: large files are written past the page cache by a thread of their own where that can be, and
// nobody can tell from the file how it was written.
// Method: a simulated disk refuses what a real one refuses, and more: a direct write must be of
// whole blocks from whole pages. The portions are small, so that small states take many.
@Suite struct OutputTests {
  /// A state of about 30 blocks, a part of which is encoded.
  private static let state: SampleState = {
    var state = SampleState(7, byteCount: 50_001)
    state.add("zeros", .uint8, [200_000], [UInt8](repeating: 0, count: 200_000))
    state.add("end", .uint8, [70_000], SampleState(8, byteCount: 70_000).tensors[0].bytes)
    return state
  }()

  private static func largeOptions(
    _ device: StorageDevice, threads: Int = 1, compression: Compression = .always
  ) -> StoreOptions {
    var options = StoreOptions(
      device: device, compression: compression, chunkByteCount: 4096, threads: threads,
      writer: "CheckpointEngineTests")
    options.output.largeFileByteCount = 0
    options.output.portionByteCountMax = 8192
    options.output.firstPortionByteCount = 8192
    return options
  }

  private func open(_ disk: SimulatedDisk, threads: Int = 1) throws -> CheckpointStore {
    try CheckpointStore(
      "/run", for: .writing, options: Self.largeOptions(disk.device, threads: threads))
  }

  /// The calls of `body` on temporary files, several in a row of one kind told once.
  private func trace(_ disk: SimulatedDisk, _ body: () throws -> Void) rethrows -> [String] {
    let start = disk.operationCount
    try body()
    var lines: [String] = []
    for operation in disk.operations[start...] where operation.name.hasSuffix(".tmp") {
      if lines.last != operation.kind.description { lines.append(operation.kind.description) }
    }
    return lines
  }

  // MARK: The same bytes

  @Test(arguments: [Compression.none, .always])
  func theBytesDoNotDependOnHowTheyAreWritten(compression: Compression) throws {
    let small = SimulatedDisk()
    let plain = options(on: small, chunkByteCount: 4096, compression: compression)
    try CheckpointStore("/run", for: .writing, options: plain).save(Self.state, step: 1)
    let reference = try small.contents(checkpointName(1, 1))
    for transfers in [UncachedTransfers.taken, .refused, .refusedWhenTried] {
      for threads in [1, 2, 5] {
        let disk = SimulatedDisk()
        disk.uncachedTransfers = transfers
        let options = Self.largeOptions(
          disk.device, threads: threads, compression: compression)
        try CheckpointStore("/run", for: .writing, options: options).save(Self.state, step: 1)
        #expect(
          try disk.contents(checkpointName(1, 1)) == reference, "\(transfers), \(threads)")
      }
    }
  }

  /// The simulated disk would refuse all others.
  @Test(arguments: [1, 2]) func directWritesAreOfWholePortionsInOrder(threads: Int) throws {
    let disk = SimulatedDisk()
    let store = try open(disk, threads: threads)
    let start = disk.operationCount
    let byteCount = try store.save(Self.state, step: 1).byteCount
    let writes = disk.operations[start...].filter { $0.kind == .write }
    #expect(writes.count == Int((byteCount + 8191) / 8192))
    var end: UInt64 = 0
    for write in writes {
      #expect(write.offset == end)
      end += write.byteCount ?? 0
    }
    #expect(end == byteCount)
    #expect(writes.dropLast().allSatisfy { $0.byteCount == 8192 })
  }

  @Test(arguments: [1, 2]) func portionsBeginSmallAndDouble(threads: Int) throws {
    let disk = SimulatedDisk()
    var options = Self.largeOptions(disk.device, threads: threads)
    options.output.portionByteCountMax = 32_768
    options.output.firstPortionByteCount = 4096
    let store = try CheckpointStore("/run", for: .writing, options: options)
    for step in UInt64(1)...2 {
      let start = disk.operationCount
      try store.save(Self.state, step: step)
      let sizes = disk.operations[start...].filter { $0.kind == .write }.map { $0.byteCount ?? 0 }
      #expect(sizes.prefix(4) == [4096, 8192, 16_384, 32_768])
      #expect(sizes.count > 5 && sizes.dropFirst(4).dropLast().allSatisfy { $0 == 32_768 })
      #expect(sizes.allSatisfy { $0 <= 32_768 })
    }
    try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
  }

  /// Room that was reserved in part is given back before anything is written.
  @Test(arguments: [1, 2]) func roomThatCannotBeReservedIsNoError(threads: Int) throws {
    for fault in [FaultPlan.Effect.error(ENOSPC), .errorAfterEffect(EOPNOTSUPP)] {
      let disk = SimulatedDisk()
      let store = try open(disk, threads: threads)
      disk.faultPlan = FaultPlan([.init(.preallocate, fault)])
      let trace = try trace(disk) { try store.save(Self.state, step: 1) }
      #expect(trace.prefix(5) == ["openat", "flock", "fallocate", "ftruncate", "fcntl"])
      try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
    }
  }

  @Test(arguments: [1, 2]) func aLargeSaveHasTheseCalls(threads: Int) throws {
    let disk = SimulatedDisk()
    let store = try open(disk, threads: threads)
    for step in UInt64(1)...2 {
      let trace = try trace(disk) { try store.save(Self.state, step: step) }
      #expect(
        trace == [
          "openat", "flock", "fallocate", "fcntl", "pwrite64", "fstat", "ftruncate", "fsync",
          "close", "renameat2",
        ])
    }
  }

  @Test func aSmallFileIsWrittenAtOnceAndThroughTheCache() throws {
    let disk = SimulatedDisk()
    let options = StoreOptions(device: disk.device)
    let store = try CheckpointStore("/run", for: .writing, options: options)
    let start = disk.operationCount
    try store.save(SampleState(1), step: 1)
    let operations = disk.operations[start...]
    #expect(operations.count { $0.kind == .write } == 1)
    #expect(!operations.contains { $0.kind == .setCaching || $0.kind == .startWriteBack })
  }

  // MARK: Falling back

  @Test(arguments: [UncachedTransfers.refused, .refusedWhenTried])
  func aFileSystemWithoutDirectWritesIsAskedOnce(transfers: UncachedTransfers) throws {
    let disk = SimulatedDisk()
    disk.uncachedTransfers = transfers
    let store = try open(disk, threads: 2)
    for step in UInt64(1)...3 {
      let start = disk.operationCount
      try store.save(Self.state, step: step)
      let operations = disk.operations[start...]
      let asked = operations.count { $0.kind == .setCaching }
      #expect(asked == (step > 1 ? 0 : transfers == .refused ? 1 : 2))
      // The disk is at work before the sync.
      let written = operations.filter { $0.kind == .startWriteBack }
      var end: UInt64 = 0
      for range in written {
        #expect(range.offset == end)
        end += range.byteCount ?? 0
      }
      #expect(try end == UInt64(disk.contents(checkpointName(step, step)).count))
    }
    try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
  }

  @Test(arguments: [EINVAL, EIO, ENOSYS, EPERM])
  func anErrorOfTheAdviceOnlyChangesHowItIsWritten(errno: Int32) throws {
    for plan in [
      FaultPlan([.init(.setCaching, .error(errno), .always)]),
      FaultPlan([
        .init(.setCaching, .error(errno), .always), .init(.startWriteBack, .error(errno), .always),
      ]),
      FaultPlan([.init(.setCaching, .errorAfterEffect(errno))]),
    ] {
      let disk = SimulatedDisk()
      disk.faultPlan = plan
      try open(disk).save(Self.state, step: 1)
      disk.faultPlan = FaultPlan()
      try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
    }
  }

  @Test(arguments: [1, 2]) func aDirectWriteThatIsRefusedLaterIsAnError(threads: Int) throws {
    for occurrence in [1, 2, 5] {
      let disk = SimulatedDisk()
      let store = try open(disk, threads: threads)
      disk.faultPlan = FaultPlan([.init(.write, occurrence: occurrence, .error(EINVAL))])
      let start = disk.operationCount
      let error = #expect(throws: CheckpointError.self) { try store.save(Self.state, step: 1) }
      #expect(error?.code == .io && error?.errno == EINVAL && error?.systemCall == "pwrite64")
      #expect(disk.operations[start...].count { $0.kind == .write } == occurrence + 1)
      #expect(disk.storeNames == [".lock"])
      // A file system that takes no short last portion would refuse every save: the next is not direct.
      let trace = try trace(disk) { try store.save(Self.state, step: 1) }
      #expect(!trace.contains("fcntl"))
    }
  }

  @Test func aDirectWriteThatCannotFallBackIsTheError() throws {
    let disk = SimulatedDisk()
    disk.uncachedTransfers = .refusedWhenTried
    let store = try open(disk)
    disk.faultPlan = FaultPlan([.init(.setCaching, occurrence: 1, .error(EIO))])
    let error = #expect(throws: CheckpointError.self) { try store.save(Self.state, step: 1) }
    #expect(error?.systemCall == "pwrite64" && error?.errno == EINVAL)
    #expect(disk.storeNames == [".lock"])
  }

  /// What is left of a block cannot go past the cache.
  @Test(arguments: [1, 100, 4096, 5000]) func shortDirectWritesMakeTheSameBytes(limit: Int) throws {
    let whole = SimulatedDisk()
    try open(whole).save(Self.state, step: 1)
    let disk = SimulatedDisk()
    disk.faultPlan = FaultPlan([.init(.write, .shortTransfer(byteCount: limit), .times(30))])
    try open(disk).save(Self.state, step: 1)
    #expect(
      try disk.contents(checkpointName(1, 1)) == whole.contents(checkpointName(1, 1)))
  }

  // MARK: Failures of the thread that writes

  @Test(arguments: [1, 2, 5]) func anyWriteThatFailsLeavesNoTrace(threads: Int) throws {
    let disk = SimulatedDisk()
    let store = try open(disk, threads: threads)
    let start = disk.operationCount
    try store.save(Self.state, step: 1)
    let count = disk.operations[start...].count { $0.kind == .write }
    #expect(count > 10)
    let files = disk.checkpointNames
    for occurrence in 0..<count {
      for errno in [EIO, ENOSPC] {
        disk.faultPlan = FaultPlan([.init(.write, occurrence: occurrence, .error(errno))])
        let start = disk.operationCount
        let error = #expect(throws: CheckpointError.self) { try store.save(Self.state, step: 2) }
        #expect(error?.code == (errno == EIO ? .io : .outOfSpace) && error?.errno == errno)
        if errno == ENOSPC {
          #expect(error?.message.contains(" \(occurrence * 8192) were written") == true)
        }
        let operations = disk.operations[start...]
        #expect(operations.count { $0.kind == .write } == occurrence + 1, "nothing follows it")
        #expect(!operations.contains { $0.kind == .sync || $0.kind == .rename })
        #expect(disk.checkpointNames == files && disk.temporaryNames.isEmpty)
      }
    }
    disk.faultPlan = FaultPlan()
    try store.save(Self.state, step: 2)
    #expect(disk.openDescriptorCount == 2)  // the directory and its lock
  }

  private struct GivenUp: Error {}

  /// A store on a disk that takes its time.
  private func slowStore() throws -> (SimulatedDisk, SlowOutputBackend, CheckpointStore) {
    let disk = SimulatedDisk()
    let slow = SlowOutputBackend(disk.device.backend)
    let device = StorageDevice(
      backend: slow, timeSource: disk.device.timeSource, randomBits: disk.device.randomBits)
    let store = try CheckpointStore(
      "/run", for: .writing, options: Self.largeOptions(device, threads: 2))
    return (disk, slow, store)
  }

  /// A save that is given up may have writes under way: they must end before the file is closed,
  /// whose descriptor's number may be another file's a moment later.
  @Test func nothingIsWrittenAfterASaveWasGivenUp() throws {
    let (disk, slow, store) = try slowStore()
    // So much that every slot was filled, and the first of them are on their way.
    let state = SampleState(9, byteCount: 1_500_000)
    for _ in 0..<3 {
      let start = disk.operationCount
      #expect(throws: GivenUp.self) {
        try store.save(state.plan(), step: 1) { sink in
          try sink.append(Array(state.stream.prefix(1_400_000)).rawSpan)
          throw GivenUp()
        }
      }
      #expect(disk.operations[start...].contains { $0.kind == .write })
      usleep(20_000)
    }
    #expect(slow.callsWhereNoneMayBe.withLock { $0 } == 0)
    #expect(disk.storeNames == [".lock"])
  }

  /// Nor is room reserved any more, if a save is given up before its first byte.
  @Test func nothingIsReservedAfterASaveWasGivenUp() throws {
    let (disk, slow, store) = try slowStore()
    for delay in [UInt32(0), 1000, 3000] {
      #expect(throws: GivenUp.self) {
        try store.save(Self.state.plan(), step: 1) { _ in
          usleep(delay)
          throw GivenUp()
        }
      }
      usleep(20_000)
    }
    #expect(slow.callsWhereNoneMayBe.withLock { $0 } == 0)
    #expect(disk.storeNames == [".lock"])
    #expect(disk.openDescriptorCount == 2)  // the directory and its lock
  }

  // MARK: Memory

  /// Between two saves the test takes what memory is free, so that memory that was given back to
  /// the system is not had again by chance.
  @Test(arguments: [1, 2, 5]) func memoryIsUsedAgainAtTheNextSave(threads: Int) throws {
    let disk = SimulatedDisk()
    let spy = AddressSpy(disk.device.backend)
    let device = StorageDevice(
      backend: spy, timeSource: disk.device.timeSource, randomBits: disk.device.randomBits)
    // What nobody fills is zeros, which would become nothing if they were encoded.
    var options = Self.largeOptions(device, threads: threads, compression: .none)
    options.output.portionByteCountMax = 16_384
    options.chunkByteCount = 1 << 16
    let store = try CheckpointStore("/run", for: .writing, options: options)
    var slots: Set<UInt> = []
    var written: Set<UInt> = []
    var taken: [PageBuffer] = []
    for step in UInt64(1)...3 {
      var slotsOfSave: Set<UInt> = []
      _ = try store.save(Self.state.plan(), step: step) { sink in
        for tensor in Self.state.tensors {
          unsafe try sink.fill(UInt64(tensor.bytes.count)) { _, target in
            let address = UInt(bitPattern: target.baseAddress)
            slotsOfSave.insert(address / 4096)
          }
        }
      }
      if step == 1 { slots = slotsOfSave }
      #expect(slotsOfSave.isSubset(of: slots))
      let addresses = spy.addresses.withLock { $0 }
      if step == 1 { written = addresses }
      #expect(addresses == written)
      let span = try #require(addresses.max()) - #require(addresses.min())
      #expect(span < 16_384 * (threads == 1 ? 1 : 6))
      for size in [16_384, 65536, 262_144, 500_000] {
        taken += (0..<20).map { _ in PageBuffer(byteCount: size) }
      }
    }
    #expect(!taken.isEmpty)
  }

  // MARK: A real file system

  @Test(arguments: [1, 2]) func realFilesAreTheSameHoweverTheyAreWritten(threads: Int) throws {
    let state = SampleState(3, byteCount: 5_000_003)
    let files = try [false, true].map { refuses in
      try withTemporaryDirectory { path in
        let simulated = SimulatedDisk()
        let backend = RefusingBackend(PosixBackend(), refuses: refuses)
        let device = StorageDevice(
          backend: backend, timeSource: simulated.device.timeSource,
          randomBits: simulated.device.randomBits)
        var options = StoreOptions(device: device, compression: .none, threads: threads)
        options.output.portionByteCountMax = 1 << 20
        let store = try CheckpointStore(path, for: .writing, options: options)
        let receipt = try store.save(state, step: 1)
        try store.open(try store.entries()[0]).requireHolds(state)
        return try bytes(ofFileAt: receipt.path)
      }
    }
    #expect(files[0] == files[1])
  }
}
