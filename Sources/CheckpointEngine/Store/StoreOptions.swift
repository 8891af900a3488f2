public import CheckpointFormat
public import CheckpointStorage

/// How a store keeps its files; the defaults are safe.
public struct StoreOptions: Sendable {
  /// Where the store is.
  public var device: StorageDevice
  /// Who may read what is written.
  public var permissions: FilePermissions
  /// How chunks are stored.
  public var compression: Compression
  /// The format version of what is saved; every version is read.
  ///
  /// Version 1 is for readers of release 0.1.0.
  public var formatVersion: FormatVersion
  /// Bytes of a full chunk before encoding: a multiple of 64, at most 64 MiB.
  public var chunkByteCount: Int
  /// How many threads encode and decode; nil for one per processor.
  ///
  /// The bytes are the same for any number, unless the compression is `.automatic`, which goes by how long
  /// saves took.
  public var threads: Int?
  /// The largest numbers accepted from a file; a save that exceeds them is refused.
  public var limits: Limits
  /// How long to wait for another writer to close the store, in seconds.
  public var lockTimeout: Double
  /// Recorded in each header: the program and its version; cut after 256 bytes of UTF-8.
  public var writer: String
  /// Of the threads that encode, decode and write.
  package var threadPriority = ThreadPriority.ordinary
  /// In what portions files are written.
  package var output = OutputOptions()

  /// Makes options; give only what differs from the defaults.
  public init(
    device: StorageDevice = .posix, permissions: FilePermissions = .private,
    compression: Compression = .automatic, formatVersion: FormatVersion = .current,
    chunkByteCount: Int = 1 << 20, threads: Int? = nil,
    limits: Limits = .default, lockTimeout: Double = 0, writer: String = Self.libraryName
  ) {
    self.device = device
    self.permissions = permissions
    self.compression = compression
    self.formatVersion = formatVersion
    self.chunkByteCount = chunkByteCount
    self.threads = threads
    self.limits = limits
    self.lockTimeout = lockTimeout
    self.writer = writer
  }

  /// This library and its version.
  public static let libraryName = "swift-checkpoint \(libraryVersion)"
  /// The version of this library.
  public static let libraryVersion = "0.1.0"
}
