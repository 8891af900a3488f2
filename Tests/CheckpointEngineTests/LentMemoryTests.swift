import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Testing

// Goal: chunks that threads copy from the caller's memory, encode, and put where they wait for the disk are the
// bytes that one thread would have written, and nobody looks into the caller's memory after a call.
// Method: chunks large enough to be lent, and memory for the disk from too little to more than enough, so that
// outputs lie in their places, go over the end of the ring, or have to be copied.
@Suite struct LentMemoryTests {
  private static let chunkByteCount = 256 << 10

  /// Floats that are encoded, bytes that are not, and both with ends that are no whole chunks.
  private static let state: SampleState = {
    var state = SampleState()
    var generator = SeededGenerator(11)
    for (index, count) in [300_001, 65_536, 1, 500_000, 131_072].enumerated() {
      var floats: [UInt8] = []
      floats.reserveCapacity(4 * count)
      for _ in 0..<count {
        let exponent = UInt8(55 + (generator.byte() & generator.byte() & 7))
        floats += [generator.byte(), generator.byte(), generator.byte() & 0x7F, exponent]
      }
      state.add("float\(index)", .float32, [count], floats)
      state.add("byte\(index)", .uint8, [count], SampleState(3, byteCount: count).tensors[0].bytes)
    }
    return state
  }()

  private static func options(
    _ device: StorageDevice, _ compression: Compression, threads: Int, portionByteCount: Int
  ) -> StoreOptions {
    var options = StoreOptions(
      device: device, compression: compression, chunkByteCount: chunkByteCount, threads: threads,
      writer: "CheckpointEngineTests")
    options.output.portionByteCountMax = portionByteCount
    options.output.firstPortionByteCount = 64 << 10
    return options
  }

  @Test(arguments: [Compression.none, .always])
  func theBytesAreThoseOfOneThread(compression: Compression) throws {
    var reference: [UInt8]?
    for threads in [1, 2, 5] {
      // Less than a chunk; a ring that few outputs fit into; one that all do.
      for portionByteCount in [64 << 10, 512 << 10, 2 << 20, 8 << 20] {
        let disk = SimulatedDisk()
        let options = Self.options(
          disk.device, compression, threads: threads, portionByteCount: portionByteCount)
        let store = try CheckpointStore("/run", for: .writing, options: options)
        // The second time in memory that is there.
        for step in UInt64(1)...2 { try store.save(Self.state, step: step) }
        let file = try disk.contents(checkpointName(1, 1))
        if reference == nil {
          reference = file
          let size = Self.state.tensors.reduce(0) { $0 + $1.bytes.count }
          #expect(compression == .none ? file.count > size : file.count < size * 95 / 100)
          try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
        }
        let isEqual = file == reference
        #expect(isEqual, "\(threads) threads, portions of \(portionByteCount)")
        #expect(try disk.contents(checkpointName(2, 2)).count == file.count)
        #expect(try disk.reader().recover()?.reader.verify(.full).isIntact == true)
      }
    }
  }

  /// A call may bring the end of a chunk and the next ones, or many tensors at once.
  @Test(arguments: [Compression.none, .always], [1, 2, 5])
  func theBytesDoNotDependOnHowTheyAreHandedOver(compression: Compression, threads: Int) throws {
    let bytes = Self.state.tensors.flatMap(\.bytes)
    for partByteCount in [4096, 100_001, 300_000, 700_001, 1_500_000, bytes.count] {
      let disk = SimulatedDisk()
      var options = Self.options(
        disk.device, compression, threads: threads, portionByteCount: 2 << 20)
      // Chunks that a part fills not quite, or more than once.
      options.chunkByteCount = 1 << 20
      let store = try CheckpointStore("/run", for: .writing, options: options)
      _ = try store.save(Self.state.plan(), step: 1) { sink in
        for start in stride(from: 0, to: bytes.count, by: partByteCount) {
          let part = [UInt8](bytes[start..<min(start + partByteCount, bytes.count)])
          try sink.append(part.rawSpan)
        }
      }
      let found = try #require(try disk.reader().recover())
      try found.reader.requireHolds(Self.state, "in parts of \(partByteCount)")
    }
  }

  /// Each file is written in the chunks that it has, from memory that was made for those of the file before, and in
  /// parts that end anywhere in a chunk.
  @Test(arguments: [Compression.none, .always], [1, 2, 5])
  func aStoreOfChunksOfSeveralSizesIsMigrated(compression: Compression, threads: Int) throws {
    let disk = SimulatedDisk()
    // Several parts of a migration, each of which ends one chunk and brings others.
    var large = Self.state
    let bytes = SampleState(4, byteCount: 18_000_001).tensors[0].bytes
    large.add("large", .uint8, [bytes.count], bytes)
    for (step, chunkByteCount) in zip(UInt64(1)..., [256 << 10, 4096, 3 << 20, 64 << 10, 1 << 20]) {
      var options = Self.options(
        disk.device, compression, threads: threads, portionByteCount: 2 << 20)
      options.chunkByteCount = chunkByteCount
      options.formatVersion = .v1
      let store = try CheckpointStore("/run", for: .writing, options: options)
      if let last = try store.recover() { store.continueRun(from: last.reader, choice: .automatic) }
      try store.save(chunkByteCount == 4096 ? Self.state : large, step: step)
    }
    let options = Self.options(
      disk.device, compression, threads: threads, portionByteCount: 2 << 20)
    let store = try CheckpointStore("/run", for: .writing, options: options)
    #expect(try store.migrate(MigrationPlan(to: .v2)).count == 5)
    for entry in try store.entries() {
      let reader = try store.open(entry)
      #expect(reader.header.formatVersion == .v2)
      var state = reader.header.chunkByteCount == 4096 ? Self.state : large
      state.metadata = reader.metadata  // what was done to the file
      try reader.requireHolds(state)
    }
  }

  @Test func theBytesOfVersion1AreThoseOfOneThread() throws {
    let files = try [1, 2].map { threads in
      let disk = SimulatedDisk()
      var options = Self.options(
        disk.device, .always, threads: threads, portionByteCount: 2 << 20)
      options.formatVersion = .v1
      try CheckpointStore("/run", for: .writing, options: options).save(Self.state, step: 1)
      try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
      return try disk.contents(checkpointName(1, 1))
    }
    let isEqual = files[0] == files[1]
    #expect(isEqual)
  }

  /// Many programs have one buffer for whatever they save next.
  @Test(arguments: [Compression.none, .always], [1, 2, 5])
  func memoryIsTheCallersAfterEachCall(compression: Compression, threads: Int) throws {
    let disk = SimulatedDisk()
    let options = Self.options(
      disk.device, compression, threads: threads, portionByteCount: 1 << 20)
    let store = try CheckpointStore("/run", for: .writing, options: options)
    var buffer: [UInt8] = []
    _ = try store.save(Self.state.plan(), step: 1) { sink in
      for tensor in Self.state.tensors {
        buffer.replaceSubrange(buffer.indices, with: tensor.bytes)
        try sink.append(buffer.rawSpan)
        for index in buffer.indices { buffer[index] = 0xEE }
      }
    }
    try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
  }

  /// What is saved while somebody changes it is of no use, but the file is none the worse.
  @Test(arguments: [Compression.none, .always], [2, 5])
  func memoryThatChangesMeanwhileMakesNoDamagedFile(
    compression: Compression, threads: Int
  ) throws {
    let byteCount = 4 << 20
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4096)
    defer { unsafe memory.deallocate() }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 1)
    // SAFETY: the race is what is tested: single bytes are written, and whoever reads them may see either.
    nonisolated(unsafe) let shared = unsafe memory
    let isDone = Protected(false)
    let changer = WorkerPool(threadCount: 1)
    let job = changer.submit {
      var value: UInt8 = 0
      while !isDone.withLock({ $0 }) {
        value &+= 1
        for offset in stride(from: 0, to: byteCount, by: 61) { unsafe shared[offset] = value }
      }
    }
    defer { job.wait() }
    defer { isDone.withLock { $0 = true } }
    let disk = SimulatedDisk()
    let options = Self.options(
      disk.device, compression, threads: threads, portionByteCount: 1 << 20)
    let store = try CheckpointStore("/run", for: .writing, options: options)
    var plan = SavePlan()
    try plan.append(TensorDescriptor(name: "w", dtype: .uint8, shape: [byteCount]))
    for step in UInt64(1)...5 {
      _ = try store.save(plan, step: step) { sink in
        try sink.append(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(shared)))
      }
      let found = try #require(try disk.reader().recover())
      #expect(found.reader.verify(.full).isIntact)
    }
  }

  /// Threads may be at work when the caller gives up; the next save has the same memory.
  @Test(arguments: [2, 5]) func aSaveThatIsGivenUpLeavesTheMemoryInOrder(threads: Int) throws {
    struct GivenUp: Error {}
    let disk = SimulatedDisk()
    let options = Self.options(disk.device, .always, threads: threads, portionByteCount: 1 << 20)
    let store = try CheckpointStore("/run", for: .writing, options: options)
    for round in UInt64(1)...20 {
      #expect(throws: GivenUp.self) {
        try store.save(Self.state.plan(), step: round) { sink in
          let bytes = Self.state.tensors[0].bytes
          try sink.append(bytes.rawSpan)
          throw GivenUp()
        }
      }
      try store.save(Self.state, step: round)
      let found = try #require(try disk.reader().recover())
      #expect(found.reader.header.step == round && found.reader.verify(.full).isIntact)
    }
    try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
  }

  /// A disk that fails while threads are at work: nothing is published, and the next save is whole.
  @Test(arguments: [1, 2, 5]) func aFailureLeavesTheMemoryInOrder(threads: Int) throws {
    for occurrence in 1...6 {
      let disk = SimulatedDisk()
      let options = Self.options(
        disk.device, .always, threads: threads, portionByteCount: 512 << 10)
      let store = try CheckpointStore("/run", for: .writing, options: options)
      disk.faultPlan = FaultPlan([.init(.write, occurrence: occurrence, .error(5))])
      #expect(throws: CheckpointError.self) { try store.save(Self.state, step: 1) }
      #expect(disk.storeNames == [".lock"])
      disk.faultPlan = FaultPlan()
      try store.save(Self.state, step: 1)
      try #require(try disk.reader().recover()).reader.requireHolds(Self.state)
    }
  }
}
