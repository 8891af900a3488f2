internal import CheckpointEngine
internal import CheckpointFormat
internal import CheckpointStorage
internal import CheckpointTesting

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

extension FuzzTarget {
  /// A store in the life of a training run: saves, retention, recovery, crashes, faults, damage.
  public static let store = FuzzTarget(name: "fuzz-store", test: StoreTarget.test) {
    $1.mutate(&$0, atMost: $1.byteCountMax)
  }
}

/// Whatever happens to a store, what was acknowledged survives, nothing torn bears a checkpoint's
/// name, and work goes on.
enum StoreTarget {
  private static let operationCountMax = 10

  static func test(_ input: [UInt8]) throws -> UInt64 {
    var source = ByteSource(input)
    var script = StoreScript(&source)
    try script.reopen(&source)
    for _ in 0..<operationCountMax where !source.isEmpty { try script.step(&source) }
    try script.finish(&source)
    return UInt64(script.ledger.highest)
  }
}

/// A store, and what a script does to it.
struct StoreScript {
  static let path = "/s"

  var disk = SimulatedDisk()
  var store: CheckpointStore?
  var ledger = StoreLedger()
  /// What readers keep from being removed, by name.
  var holds: [String: CheckpointHold] = [:]
  /// Whether calls may fail.
  var isFaulty = false
  private let compression: Compression
  private var step: UInt64 = 0

  init(_ source: inout ByteSource) { compression = source.pick([.none, .always]) }

  private var names: Set<String> { Set(disk.names(inDirectoryAt: Self.path) ?? []) }
  private var checkpoints: [String] { names.filter { $0.hasSuffix(".ckpt") }.sorted() }

  private func options() -> StoreOptions {
    StoreOptions(
      device: disk.device, compression: compression, chunkByteCount: 64, threads: 1, writer: "")
  }

  mutating func step(_ source: inout ByteSource) throws {
    let operation = source.below(16)
    trace("operation \(operation), \(checkpoints)")
    switch operation {
    case 0, 1, 2: try save(&source)
    case 3: try retain(last: 1 + source.below(3), finishing: false)
    case 4: try reopen(&source)
    case 5: try kill(&source)
    case 6: disk.crash(beforeOperation: disk.operationCount + source.below(64))
    case 7: try crash(&source)
    case 8, 9: injectFault(&source)
    case 10: clearFaults()
    case 11: try damage(&source)
    case 12: try pin(&source)
    case 13: try holdOrRelease(&source)
    case 14: try branch(&source)
    default: try quarantine(&source)
    }
    if disk.hasCrashed { try crash(&source) }
  }

  /// The last crash; after it, one more save is as good as any.
  mutating func finish(_ source: inout ByteSource) throws {
    try crash(&source)
    guard store != nil else { throw Finding("a store cannot be opened after a crash") }
    try save(&source)
    let expected = ledger.expectedRecovery(disk, at: Self.path)
    try require(expected == .generation(ledger.highest), "the last save is not the newest")
    store = nil
    if let name = ledger.name(ofAcknowledged: ledger.highest) {
      try ledger.check(
        CheckpointReader.open(path: Self.path + "/" + name, on: disk.device, threads: 1))
    }
    holds = [:]
    try require(disk.openDescriptorCount == 0, "a descriptor is left open")
  }

  // MARK: The program

  /// Ends the process in an orderly way, if one runs, and starts another.
  mutating func reopen(_ source: inout ByteSource) throws {
    store = nil
    let choice = source.uint8()
    do {
      let store = try CheckpointStore(Self.path, for: .writing, options: options())
      ledger.beginProcess()
      self.store = store
      if !isFaulty, !disk.hasCrashed {
        try require(!names.contains { $0.hasSuffix(".tmp") }, "a temporary file is left over")
      }
      try resume(store)
    } catch let error as CheckpointError {
      store = nil
      return try requireExcuse(error)
    }
    if choice & 3 == 3 { try retain(last: 1 + Int(choice >> 2) % 3, finishing: true) }
  }

  private mutating func resume(_ store: CheckpointStore) throws {
    let expected = ledger.expectedRecovery(disk, at: Self.path)
    do {
      guard let recovery = try store.recover() else {
        try require(expected == .nothing, "a fresh run over \(expected)")
        return
      }
      let generation = recovery.reader.header.generation
      try require(expected == .generation(generation), "\(generation) for \(expected)")
      try ledger.check(recovery.reader)
      for skipped in recovery.skipped {
        let name = skipped.path.dropFirst(Self.path.count + 1)
        try require(ledger.damaged.contains(String(name)), "\(name) is passed over")
      }
      store.continueRun(from: recovery.reader, choice: .automatic)
      trace("goes on from \(generation)")
      ledger.beginRun(from: generation)
    } catch let error as CheckpointError {
      switch (expected, error.code) {
      case (.ambiguous(let newest), .ambiguous):
        guard let recovery = try store.recover(.generation(newest)) else { return }
        store.continueRun(from: recovery.reader, choice: .deliberate)
        ledger.beginRun(from: newest)
      case (.noneIntact, .noIntactCheckpoint): store.beginFreshRun()
      default: throw error
      }
    }
  }

  private mutating func save(_ source: inout ByteSource) throws {
    guard let store else { return }
    // Steps that stand still or go back: the order is that of generations.
    step = UInt64(max(0, Int(step) + source.pick([1, 1, 0, -1])))
    let before = Set(checkpoints)
    let highest = names.filter { $0.hasPrefix("step-") }
      .compactMap { CheckpointName($0)?.generation }.max()
    let attempt = ledger.attempts.count
    ledger.attempts.append(StoreLedger.Attempt(step: step, floor: ledger.highest))
    var plan = SavePlan()
    let bytes = StoreLedger.payload(attempt)
    try plan.append(TensorDescriptor(name: "w", dtype: .uint8, shape: [bytes.count]))
    do {
      let receipt = try store.save(plan, step: step) { try $0.append(bytes.rawSpan) }
      try require(
        receipt.generation > max(highest ?? 0, ledger.highest), "a generation is not the highest")
      ledger.acknowledge(attempt, receipt.generation)
      trace("saved \(receipt.generation)")
    } catch let error as CheckpointError {
      trace("not saved: \(error)")
      try requireExcuse(error)
      let new = Set(checkpoints).subtracting(before)
      if error.code == .durabilityUnknown {
        ledger.uncertain.formUnion(new)
        ledger.isInDoubt = true
      } else if !disk.hasCrashed {
        try require(new.isEmpty, "a save that failed is visible: \(error)")
      }
    }
  }

  private mutating func retain(last count: Int, finishing: Bool) throws {
    guard let store else { return }
    let before = checkpoints
    let report = finishing ? store.finishRetention(.last(count)) : store.retain(last: count)
    trace("retention of \(count), finishing: \(finishing): \(report)")
    let after = Set(checkpoints)
    func generation(_ name: String) -> UInt64 { CheckpointName(name)?.generation ?? 0 }
    let removed = before.filter { !after.contains($0) }
    let kept = after.filter { !ledger.damaged.contains($0) && !ledger.uncertain.contains($0) }
    for name in removed {
      try require(!ledger.damaged.contains(name), "damaged \(name) was removed")
      try require(holds[name] == nil, "held \(name) was removed")
      try require(
        kept.count { generation($0) > generation(name) } >= count,
        "\(name) was removed and only \(kept) are left")
      try require(
        generation(name) != ledger.resumedGeneration || ledger.acknowledgedCount >= count,
        "\(name) was removed, which the run was resumed from")
      ledger.acknowledged[generation(name)] = nil
    }
    try require(
      report.removed.allSatisfy { !after.contains(String($0.dropFirst(Self.path.count + 1))) }
        || isFaulty, "something is said to be removed that is there")
    try requirePinsStay(removed)
    let isPlain =
      !isFaulty && holds.isEmpty && ledger.pins.isEmpty && ledger.damaged.isEmpty && !finishing
    if isPlain, !disk.hasCrashed, ledger.acknowledgedCount > 0, ledger.uncertain.isEmpty,
      !ledger.isInDoubt
    {
      try require(after.count <= count + 1, "\(after.count) are left of \(count)")
    }
  }

  private func requirePinsStay(_ removed: [String]) throws {
    for name in removed where pinnedNames.contains(name) {
      throw Finding("pinned \(name) was removed")
    }
  }

  /// Requires that an error has a reason outside the library.
  private func requireExcuse(_ error: CheckpointError) throws {
    try require(isFaulty || disk.hasCrashed, "without any fault: \(error)")
  }

  private var pinnedNames: Set<String> = []

  // MARK: What happens to it

  /// The process dies: it gets nothing done any more, and what it had open is closed.
  private mutating func kill(_ source: inout ByteSource) throws {
    disk.faultPlan = FaultPlan([.init(nil, .error(EIO), .always)])
    store = nil
    clearFaults()
    try reopen(&source)
  }

  private mutating func crash(_ source: inout ByteSource) throws {
    var generator = SplitMix64(state: UInt64(source.uint8()))
    disk.crash()
    store = nil
    holds = [:]
    disk = disk.postCrashState(choosing: &generator)
    disk.capacity = nil
    isFaulty = false
    // A name that is gone for good may be given again, to a file that nobody has touched.
    ledger.damaged.formIntersection(names)
    pinnedNames.formIntersection(names)
    try ledger.check(disk, at: Self.path)
    try reopen(&source)
    try require(store != nil, "a store cannot be opened after a crash")
  }

  private mutating func injectFault(_ source: inout ByteSource) {
    let kinds: [DiskOperation.Kind?] = [
      nil, .open, .close, .read, .write, .sync, .preallocate, .truncate, .status, .list, .lock,
      .rename, .replace, .link, .unlink, .space, .dropCache,
    ]
    let kind = source.pick(kinds)
    let errno = source.pick([EIO, ENOSPC, EDQUOT, EINTR, EROFS, EMFILE, EACCES, EINVAL, ENOSYS])
    let form = source.uint8()
    var effect = FaultPlan.Effect.error(errno)
    switch form & 7 {
    case 0, 1: effect = .errorAfterEffect(errno)
    case 2: effect = .shortTransfer(byteCount: source.pick([1, 7, 511, 4096]))
    // An interrupted sync has not failed: it is repeated, and forgets nothing.
    case 3: effect = .errorLosingChanges(errno == EINTR ? EIO : errno)
    case 4: disk.capacity = UInt64(source.below(64)) << 10
    default: break
    }
    let repetition: FaultPlan.Repetition =
      errno == EINTR ? .once : [.once, .once, .times(2), .always][Int(form >> 3) & 3]
    disk.faultPlan = FaultPlan([
      .init(kind, occurrence: source.below(32), effect, repetition)
    ])
    isFaulty = true
    trace("\(disk.faultPlan), capacity \(disk.capacity ?? 0)")
  }

  private mutating func clearFaults() {
    disk.faultPlan = FaultPlan()
    disk.capacity = nil
    isFaulty = false
    disk.crash(beforeOperation: .max)
  }

  // MARK: What people do to it

  /// Does something in the store's directory that is durable afterwards.
  private mutating func act(
    _ body: (any StorageBackend, Descriptor) throws -> Void
  ) throws {
    clearFaults()
    let backend = disk.device.backend
    guard let directory = try? backend.openDirectory(Self.path) else { return }
    defer { try? backend.close(directory) }
    try body(backend, directory)
    try backend.sync(directory)
  }

  private mutating func damage(_ source: inout ByteSource) throws {
    clearFaults()
    guard !checkpoints.isEmpty else { return }
    let name = source.pick(checkpoints)
    // Never twice: the second time might mend it.
    guard holds[name] == nil, !ledger.damaged.contains(name),
      var bytes = disk.contents(ofFileAt: Self.path + "/" + name),
      !bytes.isEmpty
    else { return }
    // What a process has verified it does not read again: damage is found by the next.
    store = nil
    let form = source.uint8()
    let place = Int(source.uint16()) % bytes.count
    switch form & 3 {
    case 0: bytes.removeLast(bytes.count - place)
    case 1: bytes.append(0)
    default: bytes[place] ^= 1 << (form >> 5)
    }
    disk.replaceContents(ofFileAt: Self.path + "/" + name, with: bytes)
    ledger.damage(name)
    try reopen(&source)
  }

  private mutating func quarantine(_ source: inout ByteSource) throws {
    guard !checkpoints.isEmpty else { return }
    let name = source.pick(checkpoints)
    guard holds[name] == nil else { return }
    try act { backend, directory in
      try backend.renameExclusively(name, to: name + ".damaged", in: directory)
    }
    ledger.damage(name)
    ledger.damaged.remove(name)
    ledger.untouchable.insert(name + ".damaged")
  }

  private mutating func pin(_ source: inout ByteSource) throws {
    guard !checkpoints.isEmpty else { return }
    let name = source.pick(checkpoints)
    guard let bytes = disk.contents(ofFileAt: Self.path + "/" + name),
      let header = try? CheckpointHeader(decoding: bytes.rawSpan, limits: .default)
    else { return }
    let marker = CheckpointName.pin(header.checkpointIdentifier).text
    if ledger.pins.contains(header.checkpointIdentifier) {
      try act { backend, directory in try backend.unlink(marker, in: directory) }
      ledger.pins.remove(header.checkpointIdentifier)
      ledger.untouchable.remove(marker)
      pinnedNames.remove(name)
      return
    }
    try act { backend, directory in
      let file = try backend.open(marker, in: directory, for: .creating(permissions: 0o600))
      try backend.close(file)
    }
    ledger.pins.insert(header.checkpointIdentifier)
    ledger.untouchable.insert(marker)
    pinnedNames.insert(name)
  }

  private mutating func holdOrRelease(_ source: inout ByteSource) throws {
    guard !checkpoints.isEmpty else { return }
    let name = source.pick(checkpoints)
    guard holds.removeValue(forKey: name) == nil, !ledger.damaged.contains(name) else { return }
    clearFaults()
    let reader = try CheckpointReader.open(
      path: Self.path + "/" + name, on: disk.device, threads: 1)
    holds[name] = reader.hold()
  }

  /// Somebody goes on from another checkpoint, or begins afresh.
  private mutating func branch(_ source: inout ByteSource) throws {
    guard let store else { return }
    let choice = source.uint8()
    if choice & 3 == 0 {
      store.beginFreshRun()
      return ledger.beginRun(from: nil)
    }
    let intact = checkpoints.filter { !ledger.damaged.contains($0) }
    guard !intact.isEmpty else { return }
    let name = intact[Int(choice >> 2) % intact.count]
    guard let generation = CheckpointName(name)?.generation else { return }
    do {
      guard let recovery = try store.recover(.generation(generation)) else {
        throw Finding("\(name) is not there")
      }
      try ledger.check(recovery.reader)
      store.continueRun(from: recovery.reader, choice: .deliberate)
      trace("branches from \(generation)")
      ledger.beginRun(from: generation)
    } catch let error as CheckpointError {
      try requireExcuse(error)
    }
  }
}
