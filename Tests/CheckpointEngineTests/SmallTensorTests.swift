import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Foundation
import Testing

// Goal: small tensors that are read one after the other are read ahead together, and each is given out,
// or refused, as if it had been read alone.
// Method: many small tensors on the simulated disk, of which some are damaged or lie in bad sectors.
@Suite struct SmallTensorTests {
  private static let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)
  private static let count = 400

  /// Many small tensors; every fifth of them of bytes that can be compressed, some of none.
  private func state(_ count: Int = Self.count) -> SampleState {
    var generator = SeededGenerator(11)
    var state = SampleState()
    for number in 0..<count {
      let size = number % 50 == 49 ? 0 : 40 + generator.below(300)
      let bytes = (0..<size).map { _ in number % 5 == 0 ? UInt8(number % 256) : generator.byte() }
      state.add("t\(number)", .uint8, [size], bytes)
    }
    return state
  }

  private func saved(_ state: SampleState, chunkByteCount: Int = 1024) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    try disk.writer(chunkByteCount).save(state, step: 1)
    return disk
  }

  private func open(_ disk: SimulatedDisk, threads: Int = 1) throws -> CheckpointReader {
    try CheckpointReader.open(path: Self.path, on: disk.device, threads: threads)
  }

  @Test(arguments: [1, 2, 5]) func tensorsReadInOrderAreWhatWasSaved(threads: Int) throws {
    let state = state()
    let reader = try open(try saved(state), threads: threads)
    for _ in 0..<2 {
      for tensor in state.tensors {
        #expect(try reader.read(tensor.descriptor.name) == tensor.bytes)
      }
    }
  }

  @Test func manySmallTensorsTakeFewReads() throws {
    let state = state()
    let disk = try saved(state)
    let reader = try open(disk)
    let start = disk.operationCount
    for tensor in state.tensors { _ = try reader.read(tensor.descriptor.name) }
    let reads = disk.operations[start...].count { $0.kind == .read }
    #expect(reads < 10, "\(reads) reads of \(Self.count) tensors")
  }

  /// The largest that are read ahead, each of them a chunk that is stored or encoded.
  @Test(arguments: [36, 48, 64], [Compression.none, .always])
  func theLargestOfThemTakeFewReadsToo(kibibytes: Int, compression: Compression) throws {
    let (disk, count, byteCount) = (SimulatedDisk(), 40, kibibytes << 10)
    var generator = SeededGenerator(12)
    var state = SampleState()
    // Three bytes of noise and one of few symbols: encoded, they keep most of their size.
    let bytes = (0..<byteCount).map { generator.byte() & ($0 % 4 == 3 ? 3 : 255) }
    for number in 0..<count { state.add("t\(number)", .float32, [byteCount / 4], bytes) }
    try CheckpointStore(
      SimulatedDisk.storePath, for: .writing,
      options: options(on: disk, chunkByteCount: 1 << 20, compression: compression)
    ).save(state, step: 1)
    let reader = try open(disk)
    let isEncoded = compression == .always && byteCount >= 4 * 4096
    #expect(reader.index.chunks.entries.allSatisfy { ($0.codec == .planes) == isEncoded })
    let start = disk.operationCount
    for tensor in state.tensors { #expect(try reader.read(tensor.descriptor.name) == bytes) }
    let reads = disk.operations[start...].count { $0.kind == .read }
    #expect(reads < count / 2, "\(reads) reads")
  }

  @Test(arguments: [1, 3]) func tensorsReadInAnyOrderAreWhatWasSaved(threads: Int) throws {
    var state = state(120)
    var generator = SeededGenerator(5)
    for number in 0..<20 { state.alias("tied\(number)", of: "t\(number * 3)") }
    state.add("large", .uint8, [5000], generator.bytes(5000))
    for number in 0..<30 { state.add("after\(number)", .uint8, [70], generator.bytes(70)) }
    let reader = try open(try saved(state), threads: threads)
    for round in 0..<30 {
      // Some of them in order, some not, and now and then one twice.
      var numbers = Array(state.tensors.indices)
      if round % 3 == 1 { numbers.shuffle(using: &generator) }
      if round % 3 == 2 { numbers = numbers.flatMap { [$0, generator.below($0 + 1)] } }
      for number in numbers {
        let tensor = state.tensors[number]
        #expect(try reader.read(tensor.descriptor.name) == tensor.bytes)
      }
    }
  }

  /// What was read ahead of a jump is let go while it may still be on its way.
  @Test(arguments: [1, 3]) func tensorsBehindLargeJumpsAreWhatWasSaved(threads: Int) throws {
    var state = SampleState()
    var generator = SeededGenerator(13)
    // More than two windows of 256 KiB and more.
    for number in 0..<1500 { state.add("t\(number)", .uint8, [1024], generator.bytes(1024)) }
    let reader = try open(try saved(state), threads: threads)
    for start in [0, 1200, 0, 700, 1300, 100, 0] {
      for number in start..<start + 8 {
        #expect(try reader.read("t\(number)") == state.tensors[number].bytes, "\(number)")
      }
    }
  }

  @Test(arguments: [1, 2]) func damageOfOneTensorIsNoneOfItsNeighbours(threads: Int) throws {
    let state = state(60)
    let disk = try saved(state)
    let intact = try disk.contents(checkpointName(1, 1))
    let chunks = try open(disk).index.chunks.entries
    #expect(Set(chunks.map(\.codec)) == [.stored, FormatVersion.current.codec])
    for chunk in chunks {
      var bytes = intact
      bytes[Int(chunk.storedOffset) + Int(chunk.storedByteCount) / 2] ^= 4
      disk.replace(checkpointName(1, 1), with: bytes)
      let reader = try open(disk, threads: threads)
      for (number, tensor) in state.tensors.enumerated() {
        let name = tensor.descriptor.name
        guard number == Int(chunk.tensor) else {
          try #require(try reader.read(name) == tensor.bytes, "\(name), damaged \(chunk.tensor)")
          continue
        }
        do throws(CheckpointError) {
          _ = try reader.read(name)
          Issue.record("\(name) is damaged and was read")
        } catch {
          #expect(error.code == .corrupted && error.location?.tensor == name)
          #expect(error.location?.offset == chunk.storedOffset && error.location?.chunk == 0)
        }
      }
    }
  }

  @Test(arguments: [1, 2]) func whatCannotBeReadIsOneTensorAndNotItsNeighbours(
    threads: Int
  ) throws {
    let state = state(60)
    for victim in [0, 1, 7, 30, 58] {
      let disk = try saved(state)
      let chunks = try open(disk).index.chunks.entries
      let chunk = try #require(chunks.first { Int($0.tensor) == victim })
      let start = Int(chunk.storedOffset)
      #expect(disk.makeUnreadable(fileAt: Self.path, range: start..<start + 1))
      let reader = try open(disk, threads: threads)
      for (number, tensor) in state.tensors.enumerated() {
        let name = tensor.descriptor.name
        if number == victim {
          #expect(errorCode { _ = try reader.read(name) } == .unreadable)
        } else {
          try #require(try reader.read(name) == tensor.bytes, "\(name), unreadable \(victim)")
        }
      }
    }
  }

  @Test func severalThreadsReadWithOneReader() throws {
    let state = state()
    let reader = try open(try saved(state), threads: 3)
    let wrong = Protected(0)
    let threads = (0..<4).map { thread in
      Thread {
        // Two of them in step, one from the end, one with strides.
        var numbers = Array(state.tensors.indices)
        if thread == 2 { numbers.reverse() }
        if thread == 3 { numbers = numbers.filter { $0 % 3 == 0 } }
        for _ in 0..<3 {
          for number in numbers {
            let tensor = state.tensors[number]
            let bytes = try? reader.read(tensor.descriptor.name)
            if bytes != tensor.bytes { wrong.withLock { $0 += 1 } }
          }
        }
        wrong.withLock { $0 += 1_000_000 }
      }
    }
    for thread in threads { thread.start() }
    while wrong.withLock({ $0 }) < 4_000_000 { Thread.sleep(forTimeInterval: 0.001) }
    #expect(wrong.withLock { $0 } == 4_000_000)
  }

  /// Retention asks for the lock: what is read ahead, however slowly, must not keep it.
  @Test func aReaderThatIsGoneHoldsNothing() throws {
    let state = state(2000)
    let disk = try saved(state)
    let slow = StorageDevice(
      backend: SlowBackend(disk.device.backend), timeSource: disk.device.timeSource,
      randomBits: disk.device.randomBits)
    // The store keeps its threads when the reader is gone.
    let store = try CheckpointStore(
      SimulatedDisk.storePath, for: .reading, options: StoreOptions(device: slow, threads: 4))
    let entry = try #require(try store.entries().first)
    for round in 0..<5 {
      var reader: CheckpointReader? = try store.open(entry)
      for number in 0..<5 + round { _ = try reader?.read("t\(number)") }
      reader = nil
      let backend = disk.device.backend
      let directory = try backend.openDirectory(SimulatedDisk.storePath)
      let file = try backend.open(checkpointName(1, 1), in: directory, for: .reading)
      #expect(try backend.lock(file, .exclusive), "after \(5 + round) tensors")
      try backend.close(file)
      try backend.close(directory)
    }
  }
}

/// A disk that takes its time for long reads.
private final class SlowBackend: ForwardingBackend {
  let base: any StorageBackend

  init(_ base: any StorageBackend) { self.base = base }

  func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    if buffer.count > 64 << 10 { Thread.sleep(forTimeInterval: 0.02) }
    return try unsafe base.read(descriptor, into: buffer, at: offset)
  }
}
