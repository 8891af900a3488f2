import CheckpointTesting
import CheckpointTraining
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The storage that a claim is checked on.
enum DiskKind: CaseIterable {
  case posix, simulated

  /// Calls `body` with a device and the path of a store that does not exist yet on it.
  func withStore(_ body: (StorageDevice, String) throws -> Void) throws {
    switch self {
    case .posix:
      try withTemporaryDirectory { path in try body(.posix, path + "/run") }
    case .simulated:
      let disk = SimulatedDisk()
      try body(disk.device, "/run")
      #expect(disk.openDescriptorCount == 0)
    }
  }
}

/// Calls `body` with the path of a fresh directory, and removes it and all below it afterwards.
func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/checkpoint-training-XXXXXX".utf8CString)
  // SAFETY: the template ends with NUL, and mkdtemp changes only its last characters.
  let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
    guard let start = buffer.baseAddress else { return false }
    return unsafe mkdtemp(start) != nil
  }
  try #require(made)
  let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  defer { removeTree(path) }
  try body(path)
}

/// Removes a directory and what is in it; best effort, what is left stays among temporary files.
private func removeTree(_ path: String) {
  guard let stream = unsafe opendir(path) else {
    unsafe _ = unlink(path)
    return
  }
  var names: [String] = []
  while let entry = unsafe readdir(stream) {
    // SAFETY: the name ends with NUL, and is copied before the next call.
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
        unsafe String(cString: $0)
      }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  unsafe _ = closedir(stream)
  for name in names { removeTree(path + "/" + name) }
  unsafe _ = rmdir(path)
}

/// A trainer that is small and yet has all that makes resuming hard: weights, momentum, a random
/// generator and a position in its data.
struct ToyTrainer: Checkpointable, Equatable {
  var step = 0
  var weights: [Float] = (0..<24).map { Float($0) / 24 }
  var momentum = [Float](repeating: 0, count: 24)
  var generator: UInt64 = 0x9e37_79b9_7f4a_7c15
  var position = 0
  private static let data: [Float] = (0..<37).map { Float($0 * $0 % 41) / 41 }

  /// Trains on one sample; returns its loss.
  @discardableResult
  mutating func trainStep() -> Double {
    var loss: Float = 0
    for index in weights.indices {
      generator = generator &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let noise = Float(generator >> 40) / Float(1 << 24)
      let error = weights[index] - Self.data[(position + index) % Self.data.count] * noise
      loss += error * error
      momentum[index] = 0.9 * momentum[index] + error
      weights[index] -= 0.05 * momentum[index]
    }
    position = (position + 5) % Self.data.count
    step += 1
    return Double(loss)
  }

  func save(to state: inout StateWriter) throws {
    try state.value("step", step)
    try state.value("position", position)
    try state.value("generator", generator)
    try state.tensor("weights", weights, shape: [4, 6])
    try state.tensor("momentum", momentum, shape: [4, 6])
  }

  mutating func restore(from state: StateReader) throws {
    step = try state.value("step")
    position = try state.value("position")
    generator = try state.value("generator")
    try state.tensor("weights", into: &weights, shape: [4, 6])
    try state.tensor("momentum", into: &momentum, shape: [4, 6])
  }

  /// The trainer after so many steps.
  static func trained(_ stepCount: Int) -> ToyTrainer {
    var trainer = ToyTrainer()
    for _ in 0..<stepCount { trainer.trainStep() }
    return trainer
  }
}

/// A state whose two functions a test provides.
struct ScriptedState: Checkpointable {
  var onSave: (inout StateWriter) throws -> Void = { _ in }
  var onRestore: (StateReader) throws -> Void = { _ in }

  func save(to state: inout StateWriter) throws { try onSave(&state) }
  mutating func restore(from state: StateReader) throws { try onRestore(state) }
}

/// An error of the training program.
struct TrainerError: Error, Equatable {
  var number = 0
}

extension StoreOptions {
  /// Without threads, with chunks as they are, and several writes also of a small state.
  static func plain(on device: StorageDevice) -> StoreOptions {
    var options = StoreOptions(device: device, compression: .none, threads: 1)
    options.output.smallPortionByteCount = 4096
    return options
  }
}

extension SimulatedDisk {
  static let store = "/run"

  /// Opens a manager of the store, without threads and with chunks as they are.
  func manager(
    _ path: String = SimulatedDisk.store, saving: SavePolicy = .every(steps: 1),
    for access: CheckpointStore.Access = .writing, mode: SaveMode = .blocking,
    keeping: RetentionPolicy = .all, stopping: StopPolicy = .never,
    checking health: HealthPolicy = .none, space: SpacePolicy = SpacePolicy(),
    onSaveFailure: SaveFailurePolicy = .report
  ) throws -> CheckpointManager {
    try CheckpointManager(
      directory: path, for: access, saving: saving, mode: mode, keeping: keeping,
      stopping: stopping, checking: health, space: space, onSaveFailure: onSaveFailure,
      options: .plain(on: device))
  }

  /// Saves a toy trainer after each of so many steps, in a run of its own.
  func train(
    _ stepCount: Int, in path: String = SimulatedDisk.store, keeping: RetentionPolicy = .all
  ) throws {
    let manager = try manager(path, keeping: keeping)
    var trainer = ToyTrainer()
    while trainer.step < stepCount {
      trainer.trainStep()
      guard case .saved = try manager.stepCompleted(trainer.step, state: trainer) else {
        throw TrainerError()
      }
    }
  }

  /// The names of the store's checkpoints, oldest first.
  func checkpoints(in path: String = SimulatedDisk.store) -> [String] {
    (names(inDirectoryAt: path) ?? []).filter { $0.hasSuffix(".ckpt") }
  }

  /// Temporary files, of which none may be left.
  func temporaries(in path: String = SimulatedDisk.store) -> [String] {
    (names(inDirectoryAt: path) ?? []).filter { $0.hasSuffix(".tmp") }
  }

  /// Flips one bit of a file, in the bytes of `tensor` if it is given.
  func damage(_ path: String, in tensor: [Float]? = nil) throws {
    var bytes = try #require(contents(ofFileAt: path))
    var offset = bytes.count / 2
    if let tensor {
      let pattern = tensor.flatMap { value in
        (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) }
      }
      let places = 0...bytes.count - pattern.count
      let found = places.first { bytes[$0..<$0 + pattern.count].elementsEqual(pattern) }
      offset = try #require(found)
    }
    bytes[offset] ^= 0x10
    #expect(replaceContents(ofFileAt: path, with: bytes))
  }
}

/// The path of a checkpoint of the simulated store.
func checkpointPath(
  step: Int, generation: Int, in path: String = SimulatedDisk.store
) -> String {
  let digits = { (value: Int, width: Int) -> String in
    String(repeating: "0", count: max(0, width - String(value).count)) + String(value)
  }
  return "\(path)/step-\(digits(step, 9)).g\(digits(generation, 6)).ckpt"
}

/// The error that `body` must throw.
func checkpointError(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) throws -> CheckpointError {
  try #require(throws: CheckpointError.self, sourceLocation: sourceLocation, performing: body)
}

extension CheckpointManager {
  /// The receipt of a save that must succeed.
  @discardableResult
  func saved(
    _ state: some Checkpointable, step: Int, metrics: [String: Double] = [:]
  ) throws -> SaveReceipt {
    guard case .saved(let receipt, _) = try save(state, step: step, metrics: metrics) else {
      throw TrainerError()
    }
    return receipt
  }

  /// The error of a save that must be reported as failed.
  func failure(_ state: some Checkpointable, step: Int) throws -> CheckpointError {
    guard case .failed(let error) = try save(state, step: step) else { throw TrainerError() }
    return error
  }
}
