import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting

// What the scenarios save: small, and yet with chunks that are encoded and chunks that are not, a tensor
// of several chunks, one without elements, a scalar, and values, one of which takes blocks of its own.

extension Ledger.Content {
  /// Eight rows; some chunks are encoded, some are not.
  var matrix: [UInt8] {
    (0..<320).map {
      $0 < 64
        ? UInt8(truncatingIfNeeded: step) &+ writer
        : UInt8(truncatingIfNeeded: $0 * $0 * 37 + Int(step) + 101 * Int(writer))
    }
  }

  /// Two blocks and a part of another.
  var blocks: [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: step) &+ 101 &* writer, count: 9000)
  }

  var counter: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: step >> (8 * $0)) } }

  func plan() throws(CheckpointError) -> SavePlan {
    var plan = SavePlan()
    try plan.append(TensorDescriptor(name: "matrix", dtype: .uint8, shape: [8, 40]))
    try plan.append(TensorDescriptor(name: "nothing", dtype: .float32, shape: [0, 3]))
    try plan.append(TensorDescriptor(name: "counter", dtype: .uint64, shape: []))
    plan.metadata[.state, "step"] = .uint64(step)
    plan.metadata[.state, "blocks"] = .bytes(blocks)
    return plan
  }
}

extension CheckpointStore {
  /// Saves `content`; runs `interlude` when a part of the file has been provided.
  @discardableResult
  func save(
    _ content: Ledger.Content, metrics: [String: Double] = [:],
    as role: StoreEntry.Role = .candidate, unhealthy reason: String? = nil,
    during interlude: () throws -> Void = {}
  ) throws -> SaveReceipt {
    var plan = try content.plan()
    for (name, value) in metrics { plan.metadata[.metric, name] = .float64(value) }
    plan.metadata.markUnhealthy(reason)
    return try save(plan, step: content.step, as: role) { sink in
      try sink.append(content.matrix.rawSpan)
      try interlude()
      try sink.append(content.counter.rawSpan)
    }
  }
}

extension CheckpointReader {
  /// Requires that the checkpoint is one of `contents`, every byte of it.
  func requireHolds(_ contents: Set<Ledger.Content>) throws {
    let matrix = try read("matrix")
    let counter = try read("counter")
    let nothing = try read("nothing")
    let isHeld = contents.contains {
      $0.matrix == matrix && $0.counter == counter && $0.step == header.step
        && metadata[.state, "blocks"] == .bytes($0.blocks)
    }
    try require(
      isHeld && nothing.isEmpty && metadata[.state, "step"] == .uint64(header.step),
      "generation \(header.generation) holds something else than was saved as step "
        + contents.map { "\($0.step)" }.sorted().joined(separator: " or "))
  }
}

extension CheckpointError {
  /// Whether the machine refused, which says nothing about any bytes.
  var isRefusal: Bool { errno != nil }
}

extension String {
  /// The generation in a checkpoint's name, or in that of the file that a path leads to; 0 if there
  /// is none.
  var generation: UInt64 {
    split(separator: "/").last.flatMap { CheckpointName(String($0))?.generation } ?? 0
  }
}

extension SimulatedDisk {
  var storeNames: [String] { names(inDirectoryAt: Harness.storePath) ?? [] }

  /// The names of checkpoints, the lowest generation first.
  var checkpointNames: [String] {
    storeNames.filter { $0.hasSuffix(".ckpt") }.sorted { $0.generation < $1.generation }
  }

  /// The names of what runs that failed have left.
  var emergencyNames: [String] { storeNames.filter { $0.hasSuffix(".emergency") } }

  /// The highest generation that a writer finds here.
  var highestGeneration: UInt64 { storeNames.map(\.generation).max() ?? 0 }

  /// Lends the open directory of the store, to do what somebody else would do in it.
  func inStore(_ body: (Descriptor) throws -> Void) throws {
    let backend = device.backend
    let directory = try backend.openDirectory(Harness.storePath)
    defer { try? backend.close(directory) }
    try body(directory)
  }
}

extension Harness {
  /// Opens the store as a process does whose locks do not work, and which hits upon the name of a
  /// temporary that is there already.
  func openWithoutLocks(_ disk: SimulatedDisk) throws(CheckpointError) -> CheckpointStore {
    let real = device(of: disk)
    let calls = Protected(0)
    let device = StorageDevice(
      backend: LyingBackend(real.backend, .writersLockSkipped, storePath: Self.storePath),
      timeSource: real.timeSource,
      randomBits: {
        let number = calls.withLock { count -> Int in
          count += 1
          return count
        }
        // Two identifiers come first, then the random part of the temporary's name.
        let nonces = disk.storeNames.lazy.compactMap { name -> Identifier? in
          if case .temporary(_, _, let nonce) = CheckpointName(name) { nonce } else { nil }
        }
        if number == 3, let nonce = nonces.first { return (nonce.high, nonce.low) }
        return real.randomBits()
      })
    return try CheckpointStore(Self.storePath, for: .writing, options: options(device: device))
  }
}
