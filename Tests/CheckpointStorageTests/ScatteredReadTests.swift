import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a read into several places is one read whose bytes go to one place after the other; having the system
// read on is advice, and changes nothing.
@Suite struct ScatteredReadTests {
  private let bytes = pattern(5000)

  /// Reads into places of these sizes, which lie one behind the other with a byte between; what each got.
  private func read(
    _ backend: any StorageBackend, _ file: Descriptor, sizes: [Int], at offset: UInt64 = 0
  ) throws -> (count: Int, parts: [[UInt8]]) {
    var memory = [UInt8](repeating: 0xee, count: sizes.reduce(sizes.count, +))
    var count = 0
    // SAFETY: the places lie within the array and are only used during the call.
    let parts = try unsafe memory.withUnsafeMutableBytes { memory in
      var start = 0
      let buffers = unsafe sizes.map { size in
        defer { start += size + 1 }
        return unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + size])
      }
      count = try unsafe backend.read(file, intoEach: buffers, at: offset)
      return unsafe buffers.map { unsafe Array($0) }
    }
    var end = -1
    for size in sizes {
      end += size + 1
      #expect(memory[end] == 0xee, "a byte between two places was written")
    }
    return (count, parts)
  }

  private func file(_ place: Place) throws -> Descriptor {
    try place.put("a", bytes)
    return try place.backend.open("a", in: place.directory, for: .reading)
  }

  @Test(arguments: StorageKind.allCases) func placesAreFilledInTheirOrder(kind: StorageKind) throws
  {
    try kind.withDirectory { place in
      let file = try file(place)
      for sizes in [[5000], [1, 4999], [64, 0, 1000, 64, 0, 3000], [0], [], [0, 7, 0]] {
        for offset in [0, 1, 700] {
          let (count, parts) = try read(
            place.backend, file, sizes: sizes, at: UInt64(offset))
          let asked = sizes.reduce(0, +)
          #expect(count == min(asked, bytes.count - offset))
          #expect(Array(parts.joined().prefix(count)) == Array(bytes[offset..<offset + count]))
          #expect(parts.map(\.count) == sizes)
        }
      }
      #expect(try read(place.backend, file, sizes: [3, 4], at: 5000).count == 0)
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases) func morePlacesThanACallTakesAreAShortRead(
    kind: StorageKind
  ) throws {
    try kind.withDirectory { place in
      let file = try file(place)
      let (count, parts) = try read(
        place.backend, file, sizes: [Int](repeating: 2, count: 1500))
      #expect(count == (kind == .posix ? 2048 : 3000))
      #expect(Array(parts.joined().prefix(count)) == Array(bytes[..<count]))
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases) func whatIsWrongIsToldAsByAnyRead(
    kind: StorageKind
  ) throws {
    try kind.withDirectory { place in
      #expect(throws: StorageError(.read, errno: EISDIR)) {
        try read(place.backend, place.directory, sizes: [1, 1])
      }
      let file = try file(place)
      try place.backend.close(file)
      #expect(throws: StorageError(.read, errno: EBADF)) {
        try read(place.backend, file, sizes: [1, 1])
      }
    }
  }

  @Test func interruptsAreRepeatedAndFaultsArrive() throws {
    let disk = SimulatedDisk()
    let place = try Place(disk)
    let file = try file(place)
    let start = disk.operationCount
    disk.faultPlan = FaultPlan([
      .init(.read, .error(EINTR), .times(3)), .init(.read, .shortTransfer(byteCount: 150), .always),
    ])
    let (count, parts) = try read(place.backend, file, sizes: [100, 100, 100])
    #expect(count == 150)
    #expect(parts[0] + parts[1][..<50] == bytes[..<150])
    #expect(parts[1][50...].allSatisfy { $0 == 0xee } && parts[2].allSatisfy { $0 == 0xee })
    let calls = disk.operations[start...].filter { $0.kind == .read }
    #expect(calls.count == 4 && calls.allSatisfy { $0.byteCount == 300 && $0.offset == 0 })
    disk.faultPlan = FaultPlan([.init(.read, .error(EIO))])
    #expect(throws: StorageError(.read, errno: EIO)) {
      try read(place.backend, file, sizes: [100, 100])
    }
  }

  /// A backend that knows of one place at a time: what it read before an error is told first.
  @Test func withoutACallOfItsOwnAnErrorComesWhereItIs() throws {
    let disk = SimulatedDisk()
    let place = try Place(disk)
    let file = try file(place)
    let backend = PlainBackend(base: disk.device.backend)
    #expect(
      try read(backend, file, sizes: [10, 0, 20, 30]).parts.joined().elementsEqual(bytes[..<60]))
    disk.makeUnreadable(fileAt: "a", range: 25..<26)
    #expect(try read(backend, file, sizes: [10, 10, 30]).count == 25)
    #expect(try read(backend, file, sizes: [10, 15, 30]).count == 25)
    #expect(throws: StorageError(.read, errno: EIO)) {
      try read(backend, file, sizes: [10, 10], at: 25)
    }
  }

  /// Advice, whatever it is asked: for a file in the cache and out of it, behind its end, and for none.
  @Test(arguments: StorageKind.allCases) func readingOnChangesNothing(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let bytes = pattern(9 << 20)
      try place.put("a", bytes)
      let file = try place.backend.open("a", in: place.directory, for: .reading)
      for offset: UInt64 in [0, 1, 2 << 20, 8 << 20, 9 << 20, 1 << 40, UInt64(Int64.max), .max] {
        place.backend.readOn(file, from: offset)
        #expect(
          try place.read(file, count: 10, at: 1 << 20) == Array(bytes[1 << 20..<(1 << 20) + 10]))
        try place.backend.dropCache(file)
        place.backend.readOn(file, from: offset)
      }
      #expect(try place.get("a") == bytes)
      try place.backend.close(file)
      place.backend.readOn(file, from: 0)
    }
  }
}

private final class PlainBackend: ForwardingBackend {
  let base: any StorageBackend

  init(base: any StorageBackend) { self.base = base }
}
