import CheckpointEngine
import CheckpointStorage
import CheckpointTesting

/// What stands between the engine and the disk, and how much is tried.
package struct Harness: Sendable {
  /// The protection that is taken away, if any.
  package var lie: StorageLie?
  /// States tried at each place where the power is cut.
  package var statesPerCrash: Int
  package var seed: UInt64
  /// Whether a suite ends at its first violation.
  package var stopsAtFirst: Bool
  /// Whether everything is tried; if not, a part that meets each kind of trouble.
  package var isThorough: Bool

  package init(
    lie: StorageLie? = nil, statesPerCrash: Int = 150, seed: UInt64 = 0,
    stopsAtFirst: Bool = true, isThorough: Bool = true
  ) {
    self.lie = lie
    self.statesPerCrash = statesPerCrash
    self.seed = seed
    self.stopsAtFirst = stopsAtFirst
    self.isThorough = isThorough
  }

  static let storePath = "/runs/a"

  func device(of disk: SimulatedDisk) -> StorageDevice {
    let device = disk.device
    guard let lie else { return device }
    return StorageDevice(
      backend: LyingBackend(device.backend, lie, storePath: Self.storePath),
      timeSource: device.timeSource, randomBits: device.randomBits)
  }

  func options(on disk: SimulatedDisk) -> StoreOptions {
    options(device: device(of: disk))
  }

  func options(device: StorageDevice) -> StoreOptions {
    var options = StoreOptions(
      device: device, chunkByteCount: 64, threads: 1, writer: "FaultSuites")
    // As large files are written, and in the smallest portions.
    options.output.largeFileByteCount = 0
    options.output.portionByteCountMax = 4096
    return options
  }

  func open(
    _ disk: SimulatedDisk, for access: CheckpointStore.Access = .writing
  ) throws(CheckpointError) -> CheckpointStore {
    try CheckpointStore(Self.storePath, for: access, options: options(on: disk))
  }
}
