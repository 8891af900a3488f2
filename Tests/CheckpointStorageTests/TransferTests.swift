import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a transfer moves every byte or throws, whatever the system call does.
// Method: the fault plan interrupts, shortens and refuses each of the calls.
@Suite struct TransferTests {
  private let bytes = pattern(100)

  /// Writes under a plan, and gives the disk for what came of it.
  private func write(under plan: FaultPlan) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    let place = try Place(disk)
    let file = try place.create("a")
    disk.faultPlan = plan
    try place.backend.writeAll(file, bytes, at: 0)
    return disk
  }

  @Test(arguments: [1, 2, 7, 50, 99, 100, 1000])
  func shortTransfersAreContinued(byteCount: Int) throws {
    let disk = try write(
      under: FaultPlan([.init(.write, .shortTransfer(byteCount: byteCount), .always)]))
    #expect(disk.contents(ofFileAt: "a") == bytes)
    disk.faultPlan = FaultPlan([.init(.read, .shortTransfer(byteCount: byteCount), .always)])
    let place = try Place(disk)
    #expect(try place.get("a") == bytes)
  }

  @Test(arguments: 0..<10) func anInterruptAnywhereIsSurvived(occurrence: Int) throws {
    let faults: [FaultPlan.Fault] = [
      .init(.write, occurrence: occurrence, .error(EINTR), .times(3)),
      .init(.write, .shortTransfer(byteCount: 10), .always),
      .init(.read, occurrence: occurrence, .error(EINTR), .times(3)),
      .init(.read, .shortTransfer(byteCount: 10), .always),
    ]
    let disk = try write(under: FaultPlan(faults))
    #expect(try Place(disk).get("a") == bytes)
    // The fault was met, and each interrupted call was made again.
    #expect(disk.operations.count { $0.kind == .write } == 13)
  }

  @Test func endlessInterruptsBecomeAnError() throws {
    #expect(throws: StorageError(.write, errno: EINTR)) {
      try write(under: FaultPlan([.init(.write, .error(EINTR), .always)]))
    }
  }

  @Test func aWriteThatTakesNothingIsAnError() throws {
    #expect(throws: StorageError(.write, errno: EIO)) {
      try write(under: FaultPlan([.init(.write, .shortTransfer(byteCount: 0))]))
    }
  }

  @Test(arguments: [EIO, ENOSPC, EDQUOT, EFBIG, ESTALE])
  func anyOtherErrorEndsTheTransfer(errno: Int32) throws {
    for occurrence in 0..<10 {
      let disk = SimulatedDisk()
      let place = try Place(disk)
      let file = try place.create("a")
      disk.faultPlan = FaultPlan([
        .init(.write, occurrence: occurrence, .error(errno)),
        .init(.write, .shortTransfer(byteCount: 10), .always),
      ])
      #expect(throws: StorageError(.write, errno: errno)) {
        try place.backend.writeAll(file, bytes, at: 0)
      }
      #expect(disk.operations.count { $0.kind == .write } == occurrence + 1)
      try place.backend.close(file)
    }
  }

  @Test func anErrorWhileReadingIsThrown() throws {
    let disk = try write(under: FaultPlan())
    disk.faultPlan = FaultPlan([
      .init(.read, occurrence: 2, .error(EIO)),
      .init(.read, .shortTransfer(byteCount: 10), .always),
    ])
    let place = try Place(disk)
    #expect(throws: StorageError(.read, errno: EIO)) { try place.get("a") }
  }

  @Test func aFullDiskTakesWhatFitsAndThenRefuses() throws {
    let disk = SimulatedDisk()
    disk.capacity = 64
    let place = try Place(disk)
    let file = try place.create("a")
    #expect(throws: StorageError(.preallocate, errno: ENOSPC)) {
      try place.backend.preallocate(file, byteCount: 65)
    }
    #expect(throws: StorageError(.write, errno: ENOSPC)) {
      try place.backend.writeAll(file, bytes, at: 0)
    }
    #expect(disk.contents(ofFileAt: "a") == Array(bytes[..<64]))
    #expect(try place.backend.space(place.directory).availableByteCount == 0)
    try place.backend.unlink("a", in: place.directory)
    #expect(try place.backend.space(place.directory).availableByteCount == 0)
    try place.backend.close(file)
    #expect(try place.backend.space(place.directory).availableByteCount == 64)
    let next = try place.create("b")
    try place.backend.preallocate(next, byteCount: 64)
    #expect(try place.backend.space(place.directory).availableByteCount == 0)
    try place.backend.writeAll(next, Array(bytes[..<64]), at: 0)
    try place.backend.truncate(next, to: 4)
    #expect(try place.backend.space(place.directory).availableByteCount == 60)
    try place.backend.close(next)
  }

  @Test func interruptedCallsAreMadeAgainButCloseIsNot() throws {
    var callCount = 0
    let result = try retryingInterrupts { () throws(StorageError) -> Int in
      callCount += 1
      if callCount < 5 { throw StorageError(.sync, errno: EINTR) }
      return callCount
    }
    #expect(result == 5)
    callCount = 0
    #expect(throws: StorageError(.close, errno: EINTR)) {
      try retryingInterrupts { () throws(StorageError) -> Void in
        callCount += 1
        throw StorageError(.close, errno: EINTR)
      }
    }
    #expect(callCount == 1)
  }
}
