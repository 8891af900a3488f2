import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a bad sector is where it is, for every reader, and nowhere else.
@Suite struct UnreadableRangeTests {
  private let disk = SimulatedDisk()

  /// A durable file of 100 bytes, of which 40 to 59 cannot be read.
  private func place() throws -> Place {
    let place = try Place(disk)
    let file = try place.create("a")
    try place.backend.writeAll(file, pattern(100), at: 0)
    try place.backend.sync(file)
    try place.backend.close(file)
    try place.backend.sync(place.directory)
    #expect(disk.makeUnreadable(fileAt: "/a", range: 40..<60))
    return place
  }

  /// What one call returns, or its errno.
  private func readOnce(_ place: Place, _ range: Range<Int>) throws -> ([UInt8], errno: Int32?) {
    let file = try place.backend.open("a", in: place.directory, for: .reading)
    defer { try? place.backend.close(file) }
    var bytes = [UInt8](repeating: 0xee, count: range.count)
    do {
      // SAFETY: the buffer is only used during the call.
      let count = try unsafe bytes.withUnsafeMutableBytes {
        try unsafe place.backend.read(file, into: $0, at: UInt64(range.lowerBound))
      }
      return (Array(bytes[..<count]), nil)
    } catch let error as StorageError {
      #expect(error.call == .read)
      return ([], error.errno)
    }
  }

  @Test func readsStopInFrontOfItAndFailInIt() throws {
    let place = try place()
    let bytes = pattern(100)
    for start in 0..<100 {
      for end in start...100 {
        let (read, errno) = try readOnce(place, start..<end)
        if start < end, (40..<60).contains(start) {
          #expect(errno == EIO, "\(start)..<\(end)")
        } else {
          let last = start < 40 ? min(end, 40) : end
          #expect(errno == nil && read == Array(bytes[start..<last]), "\(start)..<\(end)")
        }
      }
    }
  }

  @Test func readingTheWholeFileFails() throws {
    let place = try place()
    let error = #expect(throws: StorageError.self) { try place.get("a") }
    #expect(error?.errno == EIO)
    // Behind the program's back everything is there.
    #expect(disk.contents(ofFileAt: "/a") == pattern(100))
  }

  @Test func itStaysWithTheFileThroughRenamesWritesAndReboots() throws {
    let place = try place()
    let file = try place.backend.open("a", in: place.directory, for: .locking(permissions: 0))
    try place.backend.writeAll(file, [1, 2, 3], at: 45)
    try place.backend.close(file)
    try place.backend.renameExclusively("a", to: "b", in: place.directory)
    try place.backend.link("b", to: "a", in: place.directory)
    for survivor in [disk, disk.copy()] + disk.postCrashStates() {
      let place = try Place(survivor)
      for name in try place.names() {
        #expect(throws: StorageError.self) { try place.get(name) }
      }
    }
  }

  @Test func otherFilesAndReplacedContentsAreReadable() throws {
    let place = try place()
    try place.put("b", pattern(100))
    #expect(try place.get("b") == pattern(100))
    disk.replaceContents(ofFileAt: "/a", with: pattern(100))
    #expect(try place.get("a") == pattern(100))
  }

  @Test func whereItOverlapsAnotherTheFirstByteDecides() throws {
    let place = try place()
    disk.makeUnreadable(fileAt: "/a", range: 50..<70)
    disk.makeUnreadable(fileAt: "/a", range: 90..<1000)
    disk.makeUnreadable(fileAt: "/a", range: 10..<10)
    #expect(try readOnce(place, 0..<100).0.count == 40)
    #expect(try readOnce(place, 65..<66).errno == EIO)
    #expect(try readOnce(place, 70..<100).0.count == 20)
    #expect(try readOnce(place, 99..<100).errno == EIO)
  }

  @Test func onlyFilesHaveIt() throws {
    let place = try place()
    try place.backend.makeDirectory("/folder", permissions: 0o700)
    #expect(!disk.makeUnreadable(fileAt: "/folder", range: 0..<1))
    #expect(!disk.makeUnreadable(fileAt: "/nowhere", range: 0..<1))
  }
}
