import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Testing

// Goal: whoever goes through a file has the system read on as it goes, and nobody else.
// Method: a backend in front of a simulated disk notes where it was told to, and the reads.
@Suite struct ReadOnTests {
  private static let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)
  private static let sizes = [3 << 20, 5000, 2 << 20, 70_000, 1 << 20]

  private func saved(_ sizes: [Int]) throws -> SimulatedDisk {
    var (state, generator) = (SampleState(), SeededGenerator(3))
    for (number, size) in sizes.enumerated() {
      state.add("t\(number)", .uint8, [size], generator.bytes(size))
    }
    let disk = SimulatedDisk()
    let options = options(on: disk, chunkByteCount: 1 << 18, compression: .none)
    try CheckpointStore(SimulatedDisk.storePath, for: .writing, options: options)
      .save(state, step: 1)
    return disk
  }

  /// Opens the file behind a backend that notes, and calls `body` with the reader.
  private func notes(
    _ sizes: [Int], threads: Int = 1, _ body: (CheckpointReader) throws -> Void
  ) throws -> NotingBackend.Notes {
    let disk = try saved(sizes)
    let backend = NotingBackend(disk.device.backend)
    let device = StorageDevice(
      backend: backend, timeSource: disk.device.timeSource, randomBits: disk.device.randomBits)
    let reader = try CheckpointReader.open(path: Self.path, on: device, threads: threads)
    backend.notes.withLock { $0 = NotingBackend.Notes() }
    try body(reader)
    return backend.notes.withLock { $0 }
  }

  private func readAll(_ reader: CheckpointReader) throws {
    let tensors = reader.tensors
    _ = try reader.readTogether(tensors.map(\.name), sizes: tensors.map { $0.shape[0] })
  }

  /// Once for about each MiB, on the way to the end, and each time where a read begins then.
  ///
  /// Of several threads each may be late to say where it is, and the order in which they say it is not theirs.
  private func requireOnTheWay(
    _ notes: NotingBackend.Notes, byteCount: Int, threads: Int = 1
  ) throws {
    let offsets = notes.readOn.sorted()
    try #require(!offsets.isEmpty)
    for (one, other) in zip(offsets, offsets.dropFirst()) { #expect(other >= one + 1 << 20) }
    let most = byteCount >> 20
    #expect((threads == 1 ? most - 1 : 2)...most ~= offsets.count)
    if threads == 1 { #expect(offsets == notes.readOn) }
    for offset in offsets {
      #expect(notes.reads.contains { $0 == offset || $0 == offset + 64 }, "\(offset)")
    }
  }

  @Test(arguments: [1, 3]) func loadingManyTensorsReadsOn(threads: Int) throws {
    let notes = try notes(Self.sizes, threads: threads) { try readAll($0) }
    try requireOnTheWay(notes, byteCount: Self.sizes.reduce(0, +), threads: threads)
  }

  @Test(arguments: [1, 3]) func verifyingReadsOn(threads: Int) throws {
    let notes = try notes(Self.sizes, threads: threads) { #expect($0.verify(.full).isIntact) }
    try requireOnTheWay(notes, byteCount: Self.sizes.reduce(0, +), threads: threads)
  }

  @Test func readingALargeTensorReadsOn() throws {
    let notes = try notes(Self.sizes) { _ = try $0.read("t0") }
    try requireOnTheWay(notes, byteCount: Self.sizes[0])
  }

  @Test func aSecondPassReadsOnAgain() throws {
    let notes = try notes(Self.sizes) { reader in
      try readAll(reader)
      try readAll(reader)
    }
    let half = notes.readOn.count / 2
    #expect(half > 0 && notes.readOn[..<half] == notes.readOn[half...])
  }

  @Test func nothingIsSaidOfWhatIsSmall() throws {
    let small = try notes([1 << 18, 1 << 18]) { reader in
      try readAll(reader)
      _ = reader.verify(.full)
      _ = try reader.read("t0")
    }
    #expect(small.readOn.isEmpty && !small.reads.isEmpty)
    // A tensor of one chunk, and a few rows, are no pass over the file.
    let some = try notes(Self.sizes) { reader in
      _ = try reader.read("t1")
      _ = try reader.read(rows: 10..<20, of: "t4")
    }
    #expect(some.readOn.isEmpty && !some.reads.isEmpty)
  }
}

private final class NotingBackend: ForwardingBackend {
  struct Notes {
    var readOn: [UInt64] = []
    var reads: [UInt64] = []
  }

  let base: any StorageBackend
  let notes = Protected(Notes())

  init(_ base: any StorageBackend) { self.base = base }

  func readOn(_ descriptor: Descriptor, from offset: UInt64) {
    notes.withLock { $0.readOn.append(offset) }
    base.readOn(descriptor, from: offset)
  }

  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    notes.withLock { $0.reads.append(offset) }
    return try unsafe base.read(descriptor, into: buffer, at: offset)
  }
}
