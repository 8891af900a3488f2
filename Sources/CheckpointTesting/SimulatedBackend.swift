package import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The system calls of a ``SimulatedDisk``: each is logged, can be made to fail, and can be where
/// the machine crashes.
package final class SimulatedBackend: StorageBackend {
  /// Everything behind the one lock.
  struct Simulation: Sendable {
    var disk = DiskState()
    var faults = FaultCounter(FaultPlan())
    var operations: [DiskOperation] = []
    var crashIndex: Int?
    var hasCrashed = false
    var clock: Int64 = 1_700_000_000_000_000_000
    var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(state: seed) }

    /// Logs a call and tells what goes wrong with it.
    mutating func begin(_ operation: DiskOperation) throws(StorageError) -> FaultPlan.Effect? {
      if let crashIndex, operations.count >= crashIndex { hasCrashed = true }
      // The machine is off: nothing happens any more, and nothing is worth logging.
      if hasCrashed { throw StorageError(operation.kind.call, errno: EIO) }
      operations.append(operation)
      return faults.effect(on: operation.kind)
    }

    func name(_ descriptor: Descriptor) -> String {
      disk.openFiles[descriptor.rawValue]?.name ?? "?"
    }
  }

  let simulation: Protected<Simulation>

  init(seed: UInt64) { simulation = Protected(Simulation(seed: seed)) }

  init(_ simulation: Simulation) { self.simulation = Protected(simulation) }

  /// Makes a call, unless the fault plan has it otherwise.
  ///
  /// `fake` is what the call returns if it is ignored; nil for calls that cannot be.
  private func perform<Result>(
    _ operation: DiskOperation, on descriptor: Descriptor? = nil, fake: Result? = nil,
    _ call: (inout DiskState, FaultPlan.Effect?) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    try simulation.withLock { (simulation: inout Simulation) throws(StorageError) -> Result in
      var operation = operation
      if let descriptor { operation.name = simulation.name(descriptor) }
      let effect = try simulation.begin(operation)
      switch effect {
      case .error(let errno), .errorLosingChanges(let errno):
        throw StorageError(operation.kind.call, errno: errno)
      case .errorAfterEffect(let errno):
        _ = try call(&simulation.disk, effect)
        throw StorageError(operation.kind.call, errno: errno)
      case .ignored:
        if let fake { return fake }
      case .shortTransfer, nil:
        break
      }
      return try call(&simulation.disk, effect)
    }
  }
}

// MARK: Names

extension SimulatedBackend {
  package func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    try perform(DiskOperation(.open, path)) { (disk, effect) throws(StorageError) in
      let descriptor = try disk.openDirectory(path)
      if case .errorAfterEffect = effect { try disk.close(descriptor) }
      return descriptor
    }
  }

  package func makeDirectory(_ path: String, permissions: UInt32) throws(StorageError) {
    try perform(DiskOperation(.mkdir, path), fake: ()) { (disk, _) throws(StorageError) in
      try disk.makeDirectory(path)
    }
  }

  package func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    try perform(DiskOperation(.open, name)) { (disk, effect) throws(StorageError) in
      let descriptor = try disk.open(name, in: directory, for: purpose)
      // The caller never learns of the descriptor; a file that was created stays.
      if case .errorAfterEffect = effect { try disk.close(descriptor) }
      return descriptor
    }
  }

  package func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try perform(DiskOperation(.rename, name, target: target), fake: ()) {
      (disk, _) throws(StorageError) in
      try disk.renameExclusively(name, to: target, in: directory)
    }
  }

  package func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try perform(DiskOperation(.replace, name, target: target), fake: ()) {
      (disk, _) throws(StorageError) in
      try disk.renameReplacing(name, to: target, in: directory)
    }
  }

  package func link(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    try perform(DiskOperation(.link, name, target: target), fake: ()) {
      (disk, _) throws(StorageError) in try disk.link(name, to: target, in: directory)
    }
  }

  package func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    try perform(DiskOperation(.unlink, name), fake: ()) { (disk, _) throws(StorageError) in
      try disk.unlink(name, in: directory)
    }
  }

  package func status(
    _ name: String, in directory: Descriptor
  ) throws(StorageError) -> FileStatus {
    try perform(DiskOperation(.status, name)) { (disk, _) throws(StorageError) in
      try disk.status(name, in: directory)
    }
  }

  package func list(_ directory: Descriptor) throws(StorageError) -> [String] {
    try perform(DiskOperation(.list), on: directory) { (disk, _) throws(StorageError) in
      try disk.list(directory)
    }
  }

  package func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    try perform(DiskOperation(.space), on: directory) { (disk, _) throws(StorageError) in
      try disk.space(directory)
    }
  }
}

// MARK: Descriptors

extension SimulatedBackend {
  package func close(_ descriptor: Descriptor) throws(StorageError) {
    try simulation.withLock { (simulation: inout Simulation) throws(StorageError) in
      let effect = try simulation.begin(DiskOperation(.close, simulation.name(descriptor)))
      try simulation.disk.close(descriptor)  // whatever goes wrong, the descriptor is gone
      switch effect {
      case .error(let errno), .errorAfterEffect(let errno), .errorLosingChanges(let errno):
        throw StorageError(.close, errno: errno)
      case .shortTransfer, .ignored, nil:
        break
      }
    }
  }

  package func read(
    _ descriptor: Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(StorageError) -> Int {
    let bytes = try read(descriptor, buffer.count, at: offset)
    // SAFETY: `bytes` is no longer than the buffer, which the caller lends for this call.
    unsafe buffer.copyBytes(from: bytes)
    return bytes.count
  }

  package func read(
    _ descriptor: Descriptor, intoEach buffers: [UnsafeMutableRawBufferPointer],
    at offset: UInt64
  ) throws(StorageError) -> Int {
    let byteCount = unsafe buffers.reduce(0) { $0 + $1.count }
    let bytes = try read(descriptor, byteCount, at: offset)
    var rest = bytes
    for place in unsafe buffers.indices {
      let buffer = unsafe buffers[place]
      // SAFETY: no longer than the buffer, which the caller lends for this call.
      unsafe buffer.copyBytes(from: rest.prefix(buffer.count))
      rest = rest.dropFirst(buffer.count)
    }
    return bytes.count
  }

  private func read(
    _ descriptor: Descriptor, _ byteCount: Int, at offset: UInt64
  ) throws(StorageError) -> ArraySlice<UInt8> {
    try perform(
      DiskOperation(.read, offset: offset, byteCount: UInt64(clamping: byteCount)), on: descriptor
    ) { (disk, effect) throws(StorageError) in
      try disk.read(descriptor, byteCount: Self.shortened(byteCount, by: effect), at: offset)
    }
  }

  package func write(
    _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
  ) throws(StorageError) -> Int {
    // SAFETY: the bytes are copied while the span lends them.
    let (copy, isAligned) = unsafe bytes.withUnsafeBytes { buffer in
      unsafe ([UInt8](buffer), DiskState.isAligned(buffer.baseAddress))
    }
    return try perform(
      DiskOperation(.write, offset: offset, byteCount: UInt64(clamping: copy.count)), on: descriptor
    ) { (disk, effect) throws(StorageError) in
      try disk.requireAligned(descriptor, copy.count, at: offset, isMemoryAligned: isAligned)
      let count = Self.shortened(copy.count, by: effect)
      let part = count == copy.count ? copy : Array(copy[..<count])
      return try disk.write(descriptor, part, at: offset)
    }
  }

  private static func shortened(_ count: Int, by effect: FaultPlan.Effect?) -> Int {
    guard case .shortTransfer(let limit) = effect else { return count }
    return min(count, max(limit, 0))
  }

  package func sync(_ descriptor: Descriptor) throws(StorageError) {
    try simulation.withLock { (simulation: inout Simulation) throws(StorageError) in
      switch try simulation.begin(DiskOperation(.sync, simulation.name(descriptor))) {
      case .error(let errno):
        throw StorageError(.sync, errno: errno)
      case .errorLosingChanges(let errno):
        simulation.disk.loseChanges(descriptor)
        throw StorageError(.sync, errno: errno)
      case .errorAfterEffect(let errno):
        try simulation.disk.sync(descriptor)
        throw StorageError(.sync, errno: errno)
      case .ignored:
        break
      case .shortTransfer, nil:
        try simulation.disk.sync(descriptor)
      }
    }
  }

  package func preallocate(_ descriptor: Descriptor, byteCount: UInt64) throws(StorageError) {
    try perform(DiskOperation(.preallocate, byteCount: byteCount), on: descriptor, fake: ()) {
      (disk, _) throws(StorageError) in
      try disk.preallocate(descriptor, byteCount: byteCount)
    }
  }

  package func setCaching(_ descriptor: Descriptor, _ caching: Caching) throws(StorageError) {
    try perform(DiskOperation(.setCaching), on: descriptor, fake: ()) {
      (disk, _) throws(StorageError) in try disk.setCaching(descriptor, caching)
    }
  }

  package func startWriteBack(
    _ descriptor: Descriptor, _ range: Range<UInt64>
  ) throws(StorageError) {
    let operation = DiskOperation(
      .startWriteBack, offset: range.lowerBound,
      byteCount: range.upperBound - range.lowerBound)
    try perform(operation, on: descriptor, fake: ()) { (disk, _) throws(StorageError) in
      try disk.startWriteBack(descriptor, range)
    }
  }

  package func truncate(_ descriptor: Descriptor, to byteCount: UInt64) throws(StorageError) {
    try perform(DiskOperation(.truncate, byteCount: byteCount), on: descriptor, fake: ()) {
      (disk, _) throws(StorageError) in try disk.truncate(descriptor, to: byteCount)
    }
  }

  package func setPermissions(
    _ descriptor: Descriptor, _ permissions: UInt32
  ) throws(StorageError) {
    try perform(DiskOperation(.setPermissions), on: descriptor, fake: ()) {
      (disk, _) throws(StorageError) in try disk.setPermissions(descriptor, permissions)
    }
  }

  package func dropCache(_ descriptor: Descriptor) throws(StorageError) {
    try perform(DiskOperation(.dropCache), on: descriptor, fake: ()) {
      (disk, _) throws(StorageError) in try disk.dropCache(descriptor)
    }
  }

  package func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    try perform(DiskOperation(.status), on: descriptor) { (disk, _) throws(StorageError) in
      try disk.status(descriptor)
    }
  }

  package func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool {
    try perform(DiskOperation(.lock), on: descriptor, fake: true) {
      (disk, _) throws(StorageError) in try disk.lock(descriptor, kind)
    }
  }
}
