import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Foundation
import Testing

// Goal: any part of a tensor is read as any other way of reading gives it.
@Suite struct ReadingTests {
  private let disk = SimulatedDisk()

  /// A tensor of 13 rows of 24 bytes, whose chunks of 64 bytes begin within rows.
  private func reader(threads: Int = 1) throws -> (reader: CheckpointReader, state: SampleState) {
    var state = SampleState()
    var generator = SeededGenerator(6)
    state.add("before", .uint8, [100], generator.bytes(100))
    state.add("rows", .int16, [13, 3, 4], (0..<312).map { _ in generator.byte() })
    state.add("no columns", .float32, [5, 0], [])
    state.add("no rows", .float32, [0, 5], [])
    state.add("scalar", .uint8, [], [9])
    state.alias("tied", of: "rows")
    let disk = SimulatedDisk()
    try disk.writer().save(state, step: 1)
    let store = try CheckpointStore(
      "/run", for: .reading, options: options(on: disk, threads: threads))
    return (try #require(try store.recover()).reader, state)
  }

  @Test(arguments: [1, 2, 5]) func everyRangeOfRowsIsTheSameSliceOfTheWhole(threads: Int) throws {
    let (reader, state) = try reader(threads: threads)
    let whole = state.tensors[1].bytes
    for name in ["rows", "tied"] {
      #expect(try reader.read(name) == whole)
      for first in 0...13 {
        for last in first...13 {
          let slice = Array(whole[first * 24..<last * 24])
          #expect(try reader.read(rows: first..<last, of: name) == slice)
          var memory = [UInt8](repeating: 0xee, count: slice.count)
          // SAFETY: the buffer is only used during the call.
          try unsafe memory.withUnsafeMutableBytes {
            try unsafe reader.read(rows: first..<last, of: name, into: $0)
          }
          #expect(memory == slice)
        }
      }
    }
  }

  @Test func rowsInARowReadEachChunkOnce() throws {
    let disk = SimulatedDisk()
    var generator = SeededGenerator(7)
    let bytes = generator.bytes(64 * 40)
    var state = SampleState()
    state.add("rows", .uint8, [640, 4], bytes)
    try disk.writer(256).save(state, step: 1)
    let path = "/run/" + checkpointName(1, 1)
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    let start = disk.operationCount
    for row in 0..<640 {
      let expected = Array(bytes[row * 4..<row * 4 + 4])
      #expect(try reader.read(rows: row..<row + 1, of: "rows") == expected)
    }
    #expect(disk.operations[start...].count { $0.kind == .read } == 10)
    // Other chunks in between are not taken for it.
    for row in [0, 639, 1, 100, 0, 101] {
      let expected = Array(bytes[row * 4..<row * 4 + 4])
      #expect(try reader.read(rows: row..<row + 1, of: "rows") == expected)
      _ = try reader.read(rows: 0..<640, of: "rows")
    }
  }

  @Test func rowsOfTensorsWithoutElementsAreEmpty() throws {
    let (reader, _) = try reader()
    #expect(try reader.read(rows: 0..<5, of: "no columns").isEmpty)
    #expect(try reader.read(rows: 0..<0, of: "no rows").isEmpty)
    #expect(try reader.read("no rows").isEmpty)
  }

  @Test func rowsThatAreNotThereAreRefused() throws {
    let (reader, _) = try reader()
    for rows in [0..<14, 13..<14, -1..<1, 0..<Int.max, 5..<5_000_000_000] {
      #expect(errorCode { _ = try reader.read(rows: rows, of: "rows") } == .notFound)
    }
    #expect(errorCode { _ = try reader.read(rows: 0..<1, of: "scalar") } == .notFound)
    #expect(errorCode { _ = try reader.read(rows: 0..<1, of: "no rows") } == .notFound)
    #expect(errorCode { _ = try reader.read("absent") } == .notFound)
    #expect(reader.descriptor(of: "absent") == nil)
  }

  @Test func memoryOfTheWrongSizeIsRefused() throws {
    let (reader, _) = try reader()
    for count in [0, 311, 313, 1000] {
      var memory = [UInt8](repeating: 0xee, count: count)
      // SAFETY: the buffer is only used during the calls.
      unsafe memory.withUnsafeMutableBytes { buffer in
        let whole = errorCode { unsafe try reader.read("rows", into: buffer) }
        #expect(whole == .incompatibleState)
        let rows = errorCode { unsafe try reader.read(rows: 0..<2, of: "rows", into: buffer) }
        #expect(rows == .incompatibleState)
      }
      #expect(memory.allSatisfy { $0 == 0xee })
    }
  }

  @Test func onlyTheChunksOfTheWantedRowsAreRead() throws {
    var state = SampleState()
    state.add("rows", .uint8, [100, 64], SampleState(1, byteCount: 6400).tensors[0].bytes)
    try disk.writer().save(state, step: 1)
    let path = "/run/" + checkpointName(1, 1)
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    let start = disk.operationCount
    _ = try reader.read(rows: 10..<13, of: "rows")
    let reads = disk.operations[start...].filter { $0.kind == .read }
    #expect(reads.count == 3)
    #expect(reads.reduce(0) { $0 + ($1.byteCount ?? 0) } <= 3 * 64)
  }

  @Test(arguments: [1, 2, 7]) func theBytesDoNotDependOnTheNumberOfThreads(threads: Int) throws {
    for seed in UInt64(500)..<510 {
      let files = try [1, threads].map { threads in
        let disk = SimulatedDisk(seed: seed)
        var state = SampleState.random(seed)
        var generator = SeededGenerator(seed)
        state.add("large", .uint8, [700, 1000], generator.bytes(700_000))
        let options = options(on: disk, chunkByteCount: 4096, threads: threads)
        try CheckpointStore("/run", for: .writing, options: options).save(state, step: 1)
        return try disk.contents(checkpointName(1, 1))
      }
      #expect(files[0] == files[1], "SampleState.random(\(seed))")
    }
  }

  /// The same bytes in pieces, by appending or on demand, make the same file.
  @Test func fillingOnDemandEqualsAppending() throws {
    for seed in UInt64(700)..<730 {
      var state = SampleState.random(seed)
      state.add("end", .uint8, [5000], SampleState(seed, byteCount: 5000).tensors[0].bytes)
      let stream = state.stream
      let files = try (0..<3).map { way in
        let disk = SimulatedDisk(seed: seed)
        var generator = SeededGenerator(seed)
        _ = try disk.writer(128).save(state.plan(), step: 1) { sink in
          var done = 0
          while done < stream.count {
            let count = way == 0 ? stream.count : min(generator.below(700), stream.count - done)
            let part = Array(stream[done..<done + count])
            if way == 2, generator.chance(50) {
              var next: UInt64 = 0
              unsafe try sink.fill(UInt64(count)) { offset, buffer in
                #expect(offset == next)
                #expect(unsafe buffer.allSatisfy { $0 == 0 })
                unsafe buffer.copyBytes(from: part[Int(offset)..<Int(offset) + buffer.count])
                next += UInt64(buffer.count)
              }
              #expect(next == UInt64(count))
            } else {
              try sink.append(part.rawSpan)
            }
            done += count
          }
        }
        return try disk.contents(checkpointName(1, 1))
      }
      #expect(files[0] == files[1], "SampleState.random(\(seed))")
      #expect(files[0] == files[2], "SampleState.random(\(seed))")
    }
  }

  /// Memory that another thread keeps writing to; that is a race on purpose.
  // SAFETY (@unchecked Sendable): bytes may be read while they are written; the test is about that.
  @safe private struct Scribbled: @unchecked Sendable {
    nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
    let isStopped: Protected<Bool>
  }

  @Test func aThreadThatWritesIntoATensorNeverMakesAFileThatDoesNotVerify() throws {
    let byteCount = 3 << 20
    let scribbled = unsafe Scribbled(
      memory: .allocate(byteCount: byteCount, alignment: 64), isStopped: Protected(false))
    unsafe scribbled.memory.initializeMemory(as: UInt8.self, repeating: 1)
    let thread = Thread {
      var value: UInt8 = 0
      while !scribbled.isStopped.withLock({ $0 }) {
        value &+= 1
        for offset in stride(from: Int(value), to: byteCount, by: 61) {
          unsafe scribbled.memory[offset] = value
        }
      }
      unsafe scribbled.memory.deallocate()
    }
    thread.start()
    defer { scribbled.isStopped.withLock { $0 = true } }
    var plan = SavePlan()
    try plan.append(TensorDescriptor(name: "w", dtype: .uint8, shape: [byteCount]))
    try withTemporaryDirectory { path in
      let store = try CheckpointStore(
        path, for: .writing, options: posixOptions(chunkByteCount: 1 << 18, threads: 3))
      for step in UInt64(1)...20 {
        let receipt = try store.save(plan, step: step) { sink in
          // SAFETY: the memory outlives the call; that it changes meanwhile is the point.
          try sink.append(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(scribbled.memory)))
        }
        #expect(Verifier().verify(receipt.path).findings.isEmpty)
        _ = store.retain(last: 1)
      }
    }
  }

  @Test func aTensorIsReadIntoMemoryOfItsSizeAndNoOther() throws {
    let (reader, state) = try reader()
    for count in [311, 312, 313] {
      var target = [UInt8](repeating: 0, count: count)
      func read() throws {
        try unsafe target.withUnsafeMutableBytes { try unsafe reader.read("rows", into: $0) }
      }
      if count == 312 {
        try read()
        #expect(target == state.tensors.first { $0.descriptor.name == "rows" }?.bytes)
      } else {
        #expect(errorCode { try read() } == .incompatibleState)
      }
    }
  }
}
