import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a crash keeps what was synced, and may lose or tear anything else.
// Method: small histories, whose states after a crash are compared with what POSIX allows.
@Suite struct SimulatedDiskTests {
  private let disk = SimulatedDisk()

  /// Every content a file can have after a crash; nil where the name is gone.
  private func outcomes(_ name: String) -> Set<[UInt8]?> {
    Set(disk.postCrashStates().map { $0.contents(ofFileAt: name) })
  }

  private func names() -> Set<[String]> {
    Set(disk.postCrashStates().compactMap { $0.names(inDirectoryAt: "/") })
  }

  /// Puts a file durably.
  private func settle(_ name: String, _ bytes: [UInt8], _ place: Place) throws {
    let file = try place.create(name)
    try place.backend.writeAll(file, bytes, at: 0)
    try place.backend.sync(file)
    try place.backend.close(file)
    try place.backend.sync(place.directory)
  }

  /// As strict as any disk, so that a writer that gets through here gets through everywhere.
  @Test func transfersPastTheCacheMustBeAligned() throws {
    let place = try Place(SimulatedDisk())
    let file = try place.create("a")
    try place.backend.setCaching(file, .uncached)
    let buffer = PageBuffer(byteCount: 8192)
    let bytes = pattern(8192)
    // SAFETY: bytes have no padding that could be uninitialised.
    unsafe buffer.copy(bytes.span.bytes, to: 0)
    let refusal = StorageError(.write, errno: EINVAL)
    func write(_ range: Range<Int>, at offset: UInt64) -> StorageError? {
      var failure: StorageError?
      buffer.withBytes(first: 8192) { bytes in
        do throws(StorageError) {
          _ = try place.backend.write(file, bytes.extracting(range), at: offset)
        } catch {
          failure = error
        }
      }
      return failure
    }
    #expect(write(0..<8192, at: 0) == nil)
    #expect(write(4096..<8192, at: 4096) == nil)
    #expect(write(0..<4095, at: 0) == refusal)
    #expect(write(0..<4096, at: 512) == refusal)
    #expect(write(512..<4608, at: 0) == refusal)
    try place.backend.setCaching(file, .cached)
    #expect(write(512..<4607, at: 1) == nil)
    try place.backend.close(file)
  }

  @Test func unsyncedDataMayBeLost() throws {
    let place = try Place(disk)
    try place.put("a", [1, 2, 3])
    let outcomes = outcomes("a")
    #expect(outcomes.contains(nil))
    #expect(outcomes.contains([]))
    #expect(outcomes.contains([1, 2, 3]))
    #expect(outcomes.contains([0, 0, 0]))
    #expect(outcomes.contains([1, 0, 0]))
    #expect(outcomes.contains([1, 0xa5, 0xa5]))
  }

  @Test func syncedDataWithASyncedNameIsInEveryState() throws {
    let place = try Place(disk)
    try settle("a", [1, 2, 3], place)
    #expect(outcomes("a") == [[1, 2, 3]])
    #expect(disk.postCrashStates().count == 1)
  }

  @Test func syncingAFileDoesNotMakeItsNameDurable() throws {
    let place = try Place(disk)
    let file = try place.create("a")
    try place.backend.writeAll(file, [1, 2, 3], at: 0)
    try place.backend.sync(file)
    #expect(outcomes("a") == [nil, [1, 2, 3]])
  }

  @Test func syncingADirectoryDoesNotMakeDataDurable() throws {
    let place = try Place(disk)
    try place.put("a", [1, 2, 3])
    try place.backend.sync(place.directory)
    let outcomes = outcomes("a")
    #expect(!outcomes.contains(nil))
    #expect(outcomes.contains([]))
    #expect(outcomes.contains([1, 2, 3]))
  }

  @Test func anUnsyncedRenameGoesEitherWayAndNeverHalfWay() throws {
    let place = try Place(disk)
    try settle("a", [1], place)
    try place.backend.renameExclusively("a", to: "b", in: place.directory)
    #expect(names() == [["a"], ["b"]])
    try place.backend.sync(place.directory)
    #expect(names() == [["b"]])
  }

  @Test func unsyncedNamesSurviveInAnyCombination() throws {
    let place = try Place(disk)
    try settle("old", [1], place)
    try place.put("new", [])
    try place.backend.unlink("old", in: place.directory)
    #expect(names() == [["old"], ["new", "old"], ["new"], []])
  }

  @Test func aNewDirectoryNeedsItsParentSynced() throws {
    try disk.device.backend.makeDirectory("/inner", permissions: 0o700)
    let inner = try Place(disk, path: "/inner")
    try settle("a", [1], inner)
    #expect(outcomes("/inner/a") == [nil, [1]])
    let root = try Place(disk)
    try root.backend.sync(root.directory)
    #expect(outcomes("/inner/a") == [[1]])
  }

  @Test func anyOneOfSeveralWritesMayBeLost() throws {
    let place = try Place(disk)
    try settle("a", [0, 0, 0], place)
    let file = try place.backend.open("a", in: place.directory, for: .locking(permissions: 0o600))
    for index in 0..<3 {
      try place.backend.writeAll(file, [UInt8(index) + 1], at: UInt64(index))
    }
    let outcomes = outcomes("a")
    for bits in 0..<8 {
      let subset = (0..<3).map { bits >> $0 & 1 == 1 ? UInt8($0) + 1 : 0 }
      #expect(outcomes.contains(subset))
    }
  }

  @Test func manyWritesLoseEachOneAndKeepEachPrefix() throws {
    let place = try Place(disk)
    let count = 20
    try settle("a", Array(repeating: 0, count: count), place)
    let file = try place.backend.open("a", in: place.directory, for: .locking(permissions: 0o600))
    for index in 0..<count { try place.backend.writeAll(file, [1], at: UInt64(index)) }
    let outcomes = outcomes("a")
    for index in 0..<count {
      #expect(outcomes.contains((0..<count).map { $0 == index ? 0 : 1 }))
      #expect(outcomes.contains((0..<count).map { $0 == index ? 1 : 0 }))
      #expect(outcomes.contains((0..<count).map { $0 < index ? 1 : 0 }))
    }
  }

  @Test func aWriteIsTornAtSectorsAndPages() throws {
    let place = try Place(disk)
    let old = [UInt8](repeating: 1, count: 8192)
    try settle("a", old, place)
    let file = try place.backend.open("a", in: place.directory, for: .locking(permissions: 0o600))
    try place.backend.writeAll(file, [UInt8](repeating: 2, count: 8192), at: 0)
    let outcomes = outcomes("a")
    for cut in [0, 1, 511, 512, 513, 4095, 4096, 8191] {
      for rest in [UInt8(1), 0, 0xa5] {
        let torn = (0..<8192).map { $0 < cut ? 2 : rest }
        #expect(outcomes.contains(torn), "cut at \(cut), then \(rest)")
      }
    }
    for cut in [512, 4096] {
      for rest in [UInt8(1), 0, 0xa5] {
        let torn = (0..<8192).map { $0 < cut ? rest : 2 }
        #expect(outcomes.contains(torn), "\(rest) up to \(cut)")
      }
    }
  }

  @Test func aFailedSyncMayLoseDataThatALaterSyncClaimsToHold() throws {
    let place = try Place(disk)
    let file = try place.create("a")
    try place.backend.sync(place.directory)
    try place.backend.writeAll(file, [7, 7], at: 0)
    try place.backend.sync(file)
    try place.backend.writeAll(file, [1, 2], at: 0)
    disk.faultPlan = FaultPlan([.init(.sync, .errorLosingChanges(EIO))])
    #expect(throws: StorageError(.sync, errno: EIO)) { try place.backend.sync(file) }
    #expect(try place.get("a") == [1, 2])
    try place.backend.writeAll(file, [3], at: 2)
    try place.backend.sync(file)
    let outcomes = outcomes("a")
    #expect(outcomes.contains([7, 7, 3]))
    #expect(outcomes.contains([1, 2, 3]))
    #expect(outcomes.allSatisfy { $0?.last == 3 })
  }

  @Test func aFailedSyncOfADirectoryLeavesItsNamesUndecided() throws {
    let place = try Place(disk)
    try place.put("a", [])
    disk.faultPlan = FaultPlan([.init(.sync, .errorLosingChanges(EIO))])
    #expect(throws: StorageError.self) { try place.backend.sync(place.directory) }
    try place.put("b", [])
    try place.backend.sync(place.directory)
    #expect(names() == [["b"], ["a", "b"]])
  }

  @Test func aSyncThatLiesMakesNothingDurable() throws {
    let place = try Place(disk)
    try place.put("a", [])
    disk.faultPlan = FaultPlan([.init(.sync, .ignored)])
    try place.backend.sync(place.directory)
    #expect(names() == [["a"], []])
  }

  @Test func aRenameMayHappenAndReportAnError() throws {
    let place = try Place(disk)
    try place.put("a", [])
    disk.faultPlan = FaultPlan([.init(.rename, .errorAfterEffect(EIO))])
    #expect(throws: StorageError(.rename, errno: EIO)) {
      try place.backend.renameExclusively("a", to: "b", in: place.directory)
    }
    #expect(try place.names() == ["b"])
  }

  @Test func aFailedCloseClosesAllTheSame() throws {
    let place = try Place(disk)
    let file = try place.create("a")
    disk.faultPlan = FaultPlan([.init(.close, .error(EIO))])
    #expect(throws: StorageError(.close, errno: EIO)) { try place.backend.close(file) }
    #expect(disk.openDescriptorCount == 1)
    #expect(throws: StorageError(.close, errno: EBADF)) { try place.backend.close(file) }
  }

  @Test func aFaultOfAnyKindCountsEveryCall() throws {
    let place = try Place(disk)
    disk.faultPlan = FaultPlan([.init(occurrence: 2, .error(EROFS), .always)])
    let file = try place.create("a")
    try place.backend.writeAll(file, [1], at: 0)
    for _ in 0..<2 {
      #expect(throws: StorageError(.sync, errno: EROFS)) { try place.backend.sync(file) }
    }
  }

  @Test func aCrashStopsEveryCallFromThereOn() throws {
    let place = try Place(disk)
    disk.crash(beforeOperation: disk.operationCount + 1)
    let file = try place.create("a")
    #expect(!disk.hasCrashed)
    #expect(throws: StorageError(.write, errno: EIO)) {
      try place.backend.writeAll(file, [1], at: 0)
    }
    #expect(disk.hasCrashed)
    #expect(throws: StorageError.self) { try place.backend.close(file) }
    #expect(throws: StorageError.self) { try place.names() }
    #expect(disk.operations.map(\.description) == ["openat /", "openat a"])
    let reborn = try #require(disk.postCrashStates().first)
    #expect(!reborn.hasCrashed)
    #expect(reborn.openDescriptorCount == 0)
    #expect(reborn.names(inDirectoryAt: "/") == ["a"])
    #expect(try Place(reborn).get("a").isEmpty)
  }

  @Test func aRebootReleasesLocks() throws {
    let place = try Place(disk)
    let file = try place.create("lock")
    #expect(try place.backend.lock(file, .exclusive))
    let next = try Place(disk.copy())
    let again = try next.backend.open("lock", in: next.directory, for: .reading)
    #expect(try next.backend.lock(again, .exclusive))
  }

  @Test func theStatesAreTheSameEveryTimeAndAllDifferent() throws {
    let place = try Place(disk)
    for name in ["a", "b", "c"] {
      let file = try place.create(name)
      for index in 0..<4 { try place.backend.writeAll(file, pattern(700), at: UInt64(index * 700)) }
      try place.backend.close(file)
    }
    func view(_ states: [SimulatedDisk]) -> [[String: [UInt8]]] {
      states.map { state in
        var contents: [String: [UInt8]] = [:]
        for name in ["a", "b", "c"] { contents[name] = state.contents(ofFileAt: name) }
        return contents
      }
    }
    let first = view(disk.postCrashStates(limit: 1000, seed: 7))
    #expect(first.count == 1000)
    #expect(first == view(disk.postCrashStates(limit: 1000, seed: 7)))
    #expect(first != view(disk.postCrashStates(limit: 1000, seed: 8)))
    #expect(Set(first).count == 1000)
    #expect(first.first?.count == 3)
    #expect(first.dropFirst().first == [:])
  }

  @Test func aStateByChanceIsOneOfAllStates() throws {
    let place = try Place(disk)
    try settle("a", pattern(300), place)
    let file = try place.create("b")
    for index in 0..<3 { try place.backend.writeAll(file, pattern(700), at: UInt64(index * 700)) }
    try place.backend.close(file)
    func view(_ state: SimulatedDisk) -> [String: [UInt8]] {
      var contents: [String: [UInt8]] = [:]
      for name in ["a", "b"] { contents[name] = state.contents(ofFileAt: name) }
      return contents
    }
    let all = Set(disk.postCrashStates().map(view))
    var generator = SplitMix64(state: 3)
    let drawn = Set((0..<3000).map { _ in view(disk.postCrashState(choosing: &generator)) })
    #expect(drawn.isSubset(of: all))
    #expect(drawn.count * 10 > all.count * 9, "\(drawn.count) of \(all.count)")
  }

  @Test func aCopyHoldsAllThatSurvives() throws {
    let place = try Place(disk)
    try place.put("a", [1, 2])
    let copy = disk.copy()
    #expect(copy.contents(ofFileAt: "a") == [1, 2])
    #expect(copy.postCrashStates().count == 1)
    #expect(copy.operationCount == 0)
    // The two go their own ways.
    try Place(copy).put("b", [])
    #expect(try place.names() == ["a"])
  }

  @Test func identifiersAndClockAreDeterministic() {
    let other = SimulatedDisk().device
    let device = disk.device
    #expect(device.randomBits() == other.randomBits())
    #expect(SimulatedDisk(seed: 2).device.randomBits() != SimulatedDisk().device.randomBits())
    let start = device.timeSource.monotonic()
    device.timeSource.sleep(5_000_000_000)
    #expect(device.timeSource.monotonic() - start >= 5_000_000_000)
  }

  @Test func aFileCanBeDamagedBehindTheProgramsBack() throws {
    let place = try Place(disk)
    try settle("a", [1, 2], place)
    #expect(disk.replaceContents(ofFileAt: "/a", with: [9]))
    #expect(!disk.replaceContents(ofFileAt: "/b", with: [9]))
    #expect(outcomes("a") == [[9]])
  }
}
