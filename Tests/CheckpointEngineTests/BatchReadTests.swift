import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: many tensors read at once are what each of them is alone, for any names, order and threads; what is
// wrong is said as when it is read alone.
@Suite struct BatchReadTests {
  private static let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)

  private func saved(_ state: SampleState) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    try disk.writer().save(state, step: 1)
    return disk
  }

  private func open(_ disk: SimulatedDisk, threads: Int) throws -> CheckpointReader {
    try CheckpointReader.open(path: Self.path, on: disk.device, threads: threads)
  }

  /// Small, large, empty and tied tensors.
  private func state() -> SampleState {
    var generator = SeededGenerator(21)
    var state = SampleState()
    for number in 0..<150 {
      let size = number % 10 == 9 ? 5000 : number % 10 == 8 ? 0 : 1 + generator.below(64)
      let bytes = (0..<size).map { _ in number % 4 == 0 ? 7 : generator.byte() }
      state.add("t\(number)", .uint8, [size], bytes)
      if number % 6 == 5 { state.alias("tied\(number)", of: "t\(number - 1)") }
    }
    return state
  }

  private func bytes(_ name: String, of state: SampleState) -> [UInt8] {
    state.tensors.first { $0.descriptor.name == name }?.bytes ?? []
  }

  @Test(arguments: [1, 2, 5]) func tensorsInAnyOrderAreWhatWasSaved(threads: Int) throws {
    let state = state()
    let reader = try open(try saved(state), threads: threads)
    var generator = SeededGenerator(4)
    let all = state.tensors.map(\.descriptor.name)
    for round in 0..<20 {
      // In order, shuffled, some of them, and some of them more than once.
      var names = all
      if round % 4 == 1 { names.shuffle(using: &generator) }
      if round % 4 == 2 { names = names.filter { _ in generator.chance(20) } }
      if round % 4 == 3 { names = (0..<200).map { _ in generator.pick(all) } }
      let expected = names.map { bytes($0, of: state) }
      #expect(try reader.readTogether(names, sizes: expected.map(\.count)) == expected)
    }
  }

  @Test func nothingIsReadForNothing() throws {
    let disk = try saved(state())
    let reader = try open(disk, threads: 1)
    let start = disk.operationCount
    #expect(try reader.readTogether([], sizes: []).isEmpty)
    #expect(try reader.readTogether(["t8", "t18", "t8"], sizes: [0, 0, 0]) == [[], [], []])
    #expect(disk.operationCount == start)
  }

  @Test func neighboursAreReadTogether() throws {
    let state = state()
    let disk = try saved(state)
    let reader = try open(disk, threads: 1)
    let start = disk.operationCount
    let tensors = state.tensors
    _ = try reader.readTogether(
      tensors.map(\.descriptor.name), sizes: tensors.map(\.bytes.count))
    let reads = disk.operations[start...].filter { $0.kind == .read }
    #expect(reads.count == 1)
  }

  @Test func namesAndSizesAreLookedAtBeforeAnythingIsRead() throws {
    let state = state()
    let disk = try saved(state)
    let reader = try open(disk, threads: 1)
    let start = disk.operationCount
    let size = bytes("t1", of: state).count
    for wrong in [0, size - 1, size + 1] {
      let code = errorCode {
        _ = try reader.readTogether(["t0", "t1"], sizes: [bytes("t0", of: state).count, wrong])
      }
      #expect(code == .incompatibleState)
    }
    let code = errorCode {
      _ = try reader.readTogether(["t1", "absent"], sizes: [size, 5])
    }
    #expect(code == .notFound)
    #expect(disk.operationCount == start)
  }

  @Test(arguments: [1, 2]) func theFirstDamageInTheFileIsToldAsIfReadAlone(threads: Int) throws {
    let state = state()
    let disk = try saved(state)
    let intact = try disk.contents(checkpointName(1, 1))
    let chunks = try open(disk, threads: 1).index.chunks.entries
    let tensors = state.tensors
    for number in stride(from: 0, to: chunks.count - 40, by: 17) {
      var bytes = intact
      for damaged in [number, number + 40] {
        bytes[Int(chunks[damaged].storedOffset)] ^= 1
      }
      disk.replace(checkpointName(1, 1), with: bytes)
      let reader = try open(disk, threads: threads)
      do {
        _ = try reader.readTogether(
          tensors.map(\.descriptor.name), sizes: tensors.map(\.bytes.count))
        Issue.record("chunk \(number) is damaged and was read")
      } catch let error as CheckpointError {
        #expect(error.code == .corrupted)
        #expect(error.location?.offset == chunks[number].storedOffset)
        let name = tensors[Int(chunks[number].tensor)].descriptor.name
        #expect(error.location?.tensor == name)
        #expect(throws: error) { _ = try reader.read(name) }
      }
    }
  }

  /// With so much between them that they are not read together.
  @Test(arguments: [1, 3]) func theFirstDamageIsToldAlsoWhereTwoReadsFindSome(threads: Int) throws {
    let state = state()
    let disk = try saved(state)
    var bytes = try disk.contents(checkpointName(1, 1))
    let chunks = try open(disk, threads: 1).index.chunks.entries
    let damaged = ["t2", "t146"].compactMap { name in
      chunks.first { state.tensors[Int($0.tensor)].descriptor.name == name }
    }
    try #require(damaged.count == 2)
    for chunk in damaged { bytes[Int(chunk.storedOffset)] ^= 1 }
    disk.replace(checkpointName(1, 1), with: bytes)
    let tensors = state.tensors[..<8] + state.tensors.suffix(8)
    let reader = try open(disk, threads: threads)
    for names in [tensors.map(\.descriptor.name), tensors.map(\.descriptor.name).reversed()] {
      let sizes = names.map { self.bytes($0, of: state).count }
      let start = disk.operationCount
      var failure: CheckpointError?
      do {
        _ = try reader.readTogether(names, sizes: sizes)
      } catch {
        failure = error as? CheckpointError
      }
      #expect(failure?.location?.tensor == "t2")
      #expect(disk.operations[start...].count { $0.kind == .read } >= 2)
    }
  }

  @Test(arguments: [1, 2]) func whatIsUnreadableDoesNotKeepTheOthers(threads: Int) throws {
    let state = state()
    let disk = try saved(state)
    let reader = try open(disk, threads: threads)
    let chunk = reader.index.chunks.entries[20]
    let start = Int(chunk.storedOffset)
    #expect(disk.makeUnreadable(fileAt: Self.path, range: start..<start + 1))
    let hit = state.tensors[Int(chunk.tensor)].descriptor.name
    let others = state.tensors.filter {
      $0.descriptor.name != hit && $0.aliasOf != hit
    }
    let expected = others.map(\.bytes)
    #expect(
      try reader.readTogether(others.map(\.descriptor.name), sizes: expected.map(\.count))
        == expected)
    let code = errorCode {
      _ = try reader.readTogether(
        others.map(\.descriptor.name) + [hit],
        sizes: expected.map(\.count) + [bytes(hit, of: state).count])
    }
    #expect(code == .unreadable)
  }
}

extension CheckpointReader {
  /// Reads tensors by name into one block of memory; each gets as many bytes as `sizes` says.
  func readTogether(_ names: [String], sizes: [Int]) throws -> [[UInt8]] {
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: sizes.reduce(0, +), alignment: 64)
    defer { unsafe memory.deallocate() }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xEE)
    var targets: [(name: String, target: UnsafeMutableRawBufferPointer)] = unsafe []
    var offset = 0
    for (name, size) in zip(names, sizes) {
      unsafe targets.append(
        (name, UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + size])))
      offset += size
    }
    var failure: CheckpointError?
    do throws(CheckpointError) {
      unsafe try read(targets)
    } catch {
      failure = error
    }
    if let failure {
      // Nothing is written before the sizes are compared.
      let isUntouched = unsafe memory.allSatisfy { $0 == 0xEE }
      #expect(isUntouched || failure.code != .incompatibleState)
      throw failure
    }
    return unsafe targets.map { unsafe Array($0.target) }
  }
}
