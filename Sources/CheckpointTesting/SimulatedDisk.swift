public import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A disk in memory that can lose power, run full and fail at any system call.
///
/// It keeps two levels of state: what a running program sees, and what is durable. A sync of a file
/// makes its contents durable, a sync of a directory makes its names durable, and nothing else
/// does, which is the least that POSIX promises. The clock and the random identifiers are
/// deterministic, so a run with the same calls can be repeated exactly.
///
/// ```swift
/// let disk = SimulatedDisk()
/// disk.crash(beforeOperation: 12)
/// // ... save through disk.device, until an error ...
/// for survivor in disk.postCrashStates() { /* open through survivor.device */ }
/// ```
public final class SimulatedDisk: Sendable {
  let backend: SimulatedBackend

  /// An empty disk that has only its root directory, `/`.
  public convenience init() { self.init(seed: 1) }

  /// An empty disk with identifiers of its own.
  ///
  /// - Parameter seed: where the random identifiers start; disks with one seed give the same ones.
  public init(seed: UInt64) { backend = SimulatedBackend(seed: seed) }

  init(_ backend: SimulatedBackend) { self.backend = backend }

  /// What to pass where a program passes `StorageDevice.posix`.
  ///
  /// Sleeping moves the clock and takes no time.
  public var device: StorageDevice {
    let simulation = backend.simulation
    let time = TimeSource(
      now: { simulation.withLock { $0.advance(by: 1_000) } },
      monotonic: { simulation.withLock { UInt64($0.advance(by: 1_000)) } },
      sleep: { duration in
        simulation.withLock { _ = $0.advance(by: Int64(clamping: duration)) }
      })
    return StorageDevice(
      backend: backend, timeSource: time,
      randomBits: { simulation.withLock { ($0.random.next(), $0.random.next()) } },
      // Interrupts that never end are an error soon: each costs a test as much as a call.
      interruptCountMax: 20)
  }

  // MARK: Faults

  /// What goes wrong from now on; setting it starts its counts at zero.
  public var faultPlan: FaultPlan {
    get { backend.simulation.withLock { $0.faults.plan } }
    set { backend.simulation.withLock { $0.faults = FaultCounter(newValue) } }
  }

  /// The bytes that files may take up together, or nil for no limit.
  ///
  /// Reserved bytes count, and so do those of an unlinked file that is still open.
  public var capacity: UInt64? {
    get { backend.simulation.withLock { $0.disk.capacity } }
    set { backend.simulation.withLock { $0.disk.capacity = newValue } }
  }

  /// What becomes of transfers past the page cache.
  package var uncachedTransfers: UncachedTransfers {
    get { backend.simulation.withLock { $0.disk.uncachedTransfers } }
    set { backend.simulation.withLock { $0.disk.uncachedTransfers = newValue } }
  }

  /// Cuts the power before a call: that call and all later ones fail with EIO and do nothing.
  ///
  /// - Parameter index: the index in ``operations`` that the call would have.
  public func crash(beforeOperation index: Int) {
    backend.simulation.withLock { $0.crashIndex = index }
  }

  /// Cuts the power now.
  public func crash() { backend.simulation.withLock { $0.hasCrashed = true } }

  /// Whether the power is off.
  public var hasCrashed: Bool { backend.simulation.withLock { $0.hasCrashed } }

  // MARK: What happened

  /// The calls made since this disk was created, oldest first.
  public var operations: [DiskOperation] { backend.simulation.withLock { $0.operations } }

  /// How many calls were made since this disk was created.
  public var operationCount: Int { backend.simulation.withLock { $0.operations.count } }

  /// How many files and directories are open now.
  public var openDescriptorCount: Int {
    backend.simulation.withLock { $0.disk.openFiles.count }
  }

  // MARK: Behind the program's back

  /// The contents of a file as a reader sees them, or nil if there is no such file.
  ///
  /// - Parameter path: the path of the file from the root.
  /// - Returns: its bytes.
  public func contents(ofFileAt path: String) -> [UInt8]? {
    backend.simulation.withLock { simulation in
      guard let node = try? simulation.disk.node(at: path, .open) else { return nil }
      return simulation.disk.files[node]?.content
    }
  }

  /// Replaces the contents of a file, durably, as a failing disk might.
  ///
  /// - Parameters:
  ///   - path: the path of the file from the root.
  ///   - contents: its new bytes.
  /// - Returns: whether there is such a file.
  @discardableResult
  public func replaceContents(ofFileAt path: String, with contents: [UInt8]) -> Bool {
    backend.simulation.withLock { simulation in
      guard let node = try? simulation.disk.node(at: path, .open) else { return false }
      return simulation.disk.replaceContents(ofNode: node, with: contents)
    }
  }

  /// The names in a directory, sorted, or nil if there is no such directory.
  ///
  /// - Parameter path: the path of the directory from the root.
  /// - Returns: its names.
  public func names(inDirectoryAt path: String) -> [String]? {
    backend.simulation.withLock { simulation in
      guard let node = try? simulation.disk.node(at: path, .open) else { return nil }
      return simulation.disk.directories[node]?.entries.keys.sorted()
    }
  }
}

extension SimulatedBackend.Simulation {
  mutating func advance(by duration: Int64) -> Int64 {
    clock = clock.addingReportingOverflow(duration).partialValue
    return clock
  }
}

extension DiskState {
  fileprivate mutating func replaceContents(
    ofNode node: UInt64, with contents: [UInt8]
  ) -> Bool {
    guard let file = files[node] else { return false }
    files[node] = SimulatedFile(settled: contents, permissions: file.permissions)
    return true
  }
}
