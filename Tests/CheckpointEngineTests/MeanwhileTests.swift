import CheckpointEngine
import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: what somebody else does between two calls of one operation is noticed.
// Method: a backend that does it before a chosen call.
@Suite struct MeanwhileTests {
  private let disk = SimulatedDisk()

  /// The store on a disk where `meanwhile` runs before each named call of it.
  private func store(
    for access: CheckpointStore.Access, permissions: FilePermissions = .private,
    _ meanwhile: @escaping MeanwhileBackend.Action
  ) throws -> CheckpointStore {
    let real = disk.device
    var options = options(on: disk, permissions: permissions)
    options.device = StorageDevice(
      backend: MeanwhileBackend(real.backend, meanwhile), timeSource: real.timeSource,
      randomBits: real.randomBits)
    return try CheckpointStore(SimulatedDisk.storePath, for: access, options: options)
  }

  @Test func aPinSetWhileRetentionVerifiesIsHeeded() throws {
    let disk = disk
    let victim = Protected<String?>(nil)
    let store = try store(for: .writing) { call in
      guard case .lock(let name, .exclusive) = call, name.hasSuffix(".ckpt") else { return }
      if let identifier = victim.withLock({ $0 }) { try? disk.put(".pin-" + identifier, []) }
    }
    let receipt = try store.save(SampleState(1), step: 1)
    victim.withLock { $0 = "\(receipt.checkpointIdentifier)" }
    for number in UInt64(2)...3 { try store.save(SampleState(number), step: number) }
    let report = store.retain(last: 1)
    #expect(report.removed == ["/run/" + checkpointName(2, 2)])
    #expect(disk.checkpointNames == [checkpointName(1, 1), checkpointName(3, 3)])
    // Only the first was pinned, by a marker whose name nobody had listed.
    #expect(store.retain(last: 1).removed.isEmpty)
  }

  @Test func aFileThatIsReplacedMeanwhileIsNotSetAside() throws {
    try disk.saveRun(1, 2)
    let disk = disk
    let other = try disk.contents(checkpointName(1, 1))
    let store = try store(for: .writing) { call in
      guard case .lock(let name, .exclusive) = call, name.hasSuffix(".ckpt") else { return }
      try? disk.remove(name)
      try? disk.put(name, other)
    }
    let entry = try #require(try store.entries().first)
    #expect(errorCode { _ = try store.setAside(entry) } == .notFound)
    #expect(disk.checkpointNames.count == 2)
  }

  /// The name goes from under each look and is back for the next listing.
  @Test func aStoreThatNeverHoldsStillIsReportedAfterAWhile() throws {
    try disk.saveRun(1)
    let openCount = Protected(0)
    let store = try store(for: .reading) { call throws(StorageError) in
      guard case .open(let name) = call, name.hasSuffix(".ckpt") else { return }
      let count = openCount.withLock { count -> Int in
        count += 1
        return count
      }
      if count.isMultiple(of: 2) { throw StorageError(.open, errno: ENOENT) }
    }
    let error = #expect(throws: CheckpointError.self) { try store.recover() }
    #expect(error?.code == .unreadable)
    #expect(error?.message.contains("keep changing") == true)
    #expect(openCount.withLock { $0 } == 200)
  }

  @Test func aDirectoryWhoseModeCannotBeReadStillOpens() throws {
    let undisturbed = SimulatedDisk()
    _ = try CheckpointStore(
      "/run", for: .writing, options: options(on: undisturbed, permissions: .inherit))
    let statusCount = undisturbed.operations.count { $0.kind == .status }
    var openedCount = 0
    for occurrence in 0..<statusCount {
      let disk = SimulatedDisk()
      disk.faultPlan = FaultPlan([.init(.status, occurrence: occurrence, .error(EIO))])
      do {
        let store = try CheckpointStore(
          "/run", for: .writing, options: options(on: disk, permissions: .inherit))
        try store.save(SampleState(1), step: 1)
        openedCount += 1
      } catch let error as CheckpointError {
        #expect(error.errno == EIO)
      }
    }
    #expect(openedCount > 0)
  }

  @Test func aReadThatStopsShortOfTheEndIsNoDamageWhateverElseFails() throws {
    try disk.saveRun(1)
    let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    disk.faultPlan = FaultPlan([
      .init(.read, .shortTransfer(byteCount: 0), .always), .init(.status, .error(EIO), .always),
    ])
    let name = SampleState(1).tensors[0].descriptor.name
    #expect(errorCode { _ = try reader.read(name) } == .unreadable)
  }
}

/// A disk to which somebody else does something before a call.
private final class MeanwhileBackend: ForwardingBackend {
  enum Call {
    case open(String)
    case lock(String, LockKind)
  }
  typealias Action = @Sendable (Call) throws(StorageError) -> Void

  let base: any StorageBackend
  private let meanwhile: Action
  private let names = Protected<[Int32: String]>([:])

  init(_ base: any StorageBackend, _ meanwhile: @escaping Action) {
    self.base = base
    self.meanwhile = meanwhile
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    try meanwhile(.open(name))
    let descriptor = try base.open(name, in: directory, for: purpose)
    names.withLock { $0[descriptor.rawValue] = name }
    return descriptor
  }

  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    try meanwhile(.lock(names.withLock { $0[descriptor.rawValue] ?? "" }, kind))
    return try base.lock(descriptor, kind)
  }
}
