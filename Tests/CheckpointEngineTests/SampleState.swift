import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

/// The oracle of these tests: tensors as arrays of bytes, and typed values.
struct SampleState: Sendable {
  struct Tensor: Sendable {
    var descriptor: TensorDescriptor
    var bytes: [UInt8]
    var aliasOf: String?
  }

  var tensors: [Tensor] = []
  var metadata = Metadata()

  init() {}

  /// A small state whose every byte depends on `number`, and whose shape does not.
  init(_ number: UInt64, byteCount: Int = 200) {
    var generator = SeededGenerator(number)
    add("weight", .uint8, [byteCount], (0..<byteCount).map { _ in generator.byte() })
    add("step", .uint64, [], (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
    metadata[.state, "number"] = .uint64(number)
  }

  mutating func add(_ name: String, _ dtype: DType, _ shape: [Int], _ bytes: [UInt8]) {
    precondition(bytes.count == shape.reduce(dtype.byteCount, *))
    tensors.append(
      Tensor(descriptor: TensorDescriptor(name: name, dtype: dtype, shape: shape), bytes: bytes))
  }

  mutating func alias(_ name: String, of original: String) {
    guard var tensor = tensors.first(where: { $0.descriptor.name == original }) else {
      preconditionFailure("no tensor to alias")
    }
    tensor.descriptor.name = name
    tensor.aliasOf = original
    tensors.append(tensor)
  }

  func plan() throws -> SavePlan {
    var plan = SavePlan()
    for tensor in tensors {
      if let original = tensor.aliasOf {
        try plan.appendAlias(tensor.descriptor.name, of: original)
      } else {
        try plan.append(tensor.descriptor)
      }
    }
    plan.metadata = metadata
    return plan
  }

  /// What the sink must be given.
  var stream: [UInt8] { tensors.lazy.filter { $0.aliasOf == nil }.flatMap(\.bytes) }
}

extension CheckpointStore {
  @discardableResult
  func save(_ state: SampleState, step: UInt64) throws -> SaveReceipt {
    try save(state.plan(), step: step) { sink in
      for tensor in state.tensors where tensor.aliasOf == nil {
        try sink.append(tensor.bytes.rawSpan)
      }
    }
  }
}

extension CheckpointReader {
  /// Requires that the checkpoint is intact and holds exactly `state`.
  func requireHolds(
    _ state: SampleState, _ comment: @autoclosure () -> Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let report = verify(.full)
    try #require(report.findings.isEmpty, comment(), sourceLocation: sourceLocation)
    try #require(tensors.count == state.tensors.count, comment(), sourceLocation: sourceLocation)
    for (descriptor, tensor) in zip(tensors, state.tensors) {
      let name = tensor.descriptor.name
      try #require(descriptor == tensor.descriptor, comment(), sourceLocation: sourceLocation)
      // String compares by canonical equivalence; names are bytes.
      try #require(
        descriptor.name.utf8.elementsEqual(name.utf8), comment(), sourceLocation: sourceLocation)
      // Not the arrays themselves: for an answer of false, their difference takes minutes.
      let isEqual = try read(name) == tensor.bytes
      try #require(isEqual, comment(), sourceLocation: sourceLocation)
    }
    try #require(
      try metadata.encoded() == state.metadata.encoded(), comment(),
      sourceLocation: sourceLocation)
  }
}

/// A small deterministic generator (Steele, Lea and Flood, 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
  mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

// MARK: Stores

/// Options for a simulated disk: one thread and small chunks unless told otherwise.
func options(
  on disk: SimulatedDisk, chunkByteCount: Int = 64, threads: Int = 1,
  compression: Compression = .always, permissions: FilePermissions = .private,
  lockTimeout: Double = 0, formatVersion: FormatVersion = .current
) -> StoreOptions {
  var options = StoreOptions(
    device: disk.device, permissions: permissions, compression: compression,
    formatVersion: formatVersion, chunkByteCount: chunkByteCount, threads: threads,
    lockTimeout: lockTimeout,
    writer: "CheckpointEngineTests")
  // Several writes also of small states, and of those that become little.
  options.output.smallPortionByteCount = 4096
  options.output.portionByteCountMax = 4096
  return options
}

extension SimulatedDisk {
  static let storePath = "/run"

  func writer(
    _ chunkByteCount: Int = 64, formatVersion: FormatVersion = .current
  ) throws -> CheckpointStore {
    try CheckpointStore(
      Self.storePath, for: .writing,
      options: options(on: self, chunkByteCount: chunkByteCount, formatVersion: formatVersion))
  }

  func reader() throws -> CheckpointStore {
    try CheckpointStore(Self.storePath, for: .reading, options: options(on: self))
  }

  /// Saves the states of these numbers as steps of one run, and lets go of the store.
  func saveRun(_ numbers: UInt64...) throws {
    let store = try writer()
    if let recovery = try store.recover() {
      store.continueRun(from: recovery.reader, choice: .automatic)
    }
    for number in numbers { try store.save(SampleState(number), step: number) }
  }

  var storeNames: [String] { names(inDirectoryAt: Self.storePath) ?? [] }
  var checkpointNames: [String] { storeNames.filter { $0.hasSuffix(".ckpt") } }
  var temporaryNames: [String] { storeNames.filter { $0.hasSuffix(".tmp") } }

  func contents(_ name: String) throws -> [UInt8] {
    try #require(contents(ofFileAt: Self.storePath + "/" + name))
  }

  func replace(_ name: String, with bytes: [UInt8]) {
    #expect(replaceContents(ofFileAt: Self.storePath + "/" + name, with: bytes))
  }

  /// Flips a bit of the first stored byte of a checkpoint, whose header and index stay intact.
  func damage(_ name: String) throws {
    var bytes = try contents(name)
    let path = Self.storePath + "/" + name
    let reader = try CheckpointReader.open(path: path, on: device, threads: 1)
    bytes[Int(reader.index.chunks.entries[0].storedOffset)] ^= 1
    replace(name, with: bytes)
  }

  /// Puts a file into the store without the library.
  func put(_ name: String, _ bytes: [UInt8]) throws {
    let backend = device.backend
    let directory = try backend.openDirectory(Self.storePath)
    defer { try? backend.close(directory) }
    let file = try backend.open(name, in: directory, for: .creating(permissions: 0o600))
    try backend.writeAll(file, bytes.rawSpan, at: 0)
    try backend.sync(file)
    try backend.close(file)
    try backend.sync(directory)
  }

  func remove(_ name: String) throws {
    let backend = device.backend
    let directory = try backend.openDirectory(Self.storePath)
    defer { try? backend.close(directory) }
    try backend.unlink(name, in: directory)
  }
}

func checkpointName(_ step: UInt64, _ generation: UInt64) -> String {
  CheckpointName.checkpoint(step: step, generation: generation).text
}

extension Recovery {
  var step: UInt64 { reader.header.step }
  var generation: UInt64 { reader.header.generation }
}

/// The code of the error that `body` throws; nil if it throws none.
func errorCode(_ body: () throws -> Void) -> CheckpointError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? CheckpointError)?.code
  }
}
