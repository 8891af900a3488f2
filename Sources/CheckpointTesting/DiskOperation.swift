package import CheckpointStorage

/// One system call that a ``SimulatedDisk`` was asked for.
public struct DiskOperation: Hashable, Sendable, CustomStringConvertible {
  /// Which system call; two descriptions of one call compare equal.
  public struct Kind: Hashable, Sendable, CustomStringConvertible {
    package let call: SystemCall

    package init(_ call: SystemCall) { self.call = call }

    /// openat(2).
    public static let open = Kind(.open)
    /// mkdir(2).
    public static let makeDirectory = Kind(.mkdir)
    /// close(2).
    public static let close = Kind(.close)
    /// pread(2) and preadv(2).
    public static let read = Kind(.read)
    /// pwrite(2).
    public static let write = Kind(.write)
    /// fsync(2), of a file or a directory.
    public static let sync = Kind(.sync)
    /// fallocate(2).
    public static let preallocate = Kind(.preallocate)
    /// fcntl(2), which has transfers go past the page cache or through it.
    public static let setCaching = Kind(.setCaching)
    /// sync_file_range(2).
    public static let startWriteBack = Kind(.startWriteBack)
    /// ftruncate(2).
    public static let truncate = Kind(.truncate)
    /// fchmod(2).
    public static let setPermissions = Kind(.setPermissions)
    /// posix_fadvise(2).
    public static let dropCache = Kind(.dropCache)
    /// fstat(2) and fstatat(2).
    public static let status = Kind(.status)
    /// getdents(2).
    public static let list = Kind(.list)
    /// fstatfs(2).
    public static let space = Kind(.space)
    /// flock(2).
    public static let lock = Kind(.lock)
    /// renameat2(2).
    public static let rename = Kind(.rename)
    /// renameat(2).
    public static let replace = Kind(.replace)
    /// linkat(2).
    public static let link = Kind(.link)
    /// unlinkat(2).
    public static let unlink = Kind(.unlink)

    /// Every kind, in a fixed order.
    public static var all: [Kind] { SystemCall.allCases.map(Kind.init) }

    /// The name a system-call trace shows.
    public var description: String { call.rawValue }
  }

  /// Which system call.
  public let kind: Kind
  /// The name the call was given; for a descriptor, the name it was opened with.
  public internal(set) var name: String
  /// The new name, for a rename or link.
  public let target: String?
  /// Where in the file, in bytes, for a transfer.
  public let offset: UInt64?
  /// How many bytes were asked for, or the length set, where the call has one.
  public let byteCount: UInt64?

  init(
    _ call: SystemCall, _ name: String = "", target: String? = nil, offset: UInt64? = nil,
    byteCount: UInt64? = nil
  ) {
    kind = Kind(call)
    self.name = name
    self.target = target
    self.offset = offset
    self.byteCount = byteCount
  }

  /// The call as a line of a trace, such as `pwrite64 a.tmp 0 +4096`.
  public var description: String {
    var words = [kind.description, name]
    if let target { words.append("-> \(target)") }
    if let offset { words.append("\(offset)") }
    if let byteCount { words.append("+\(byteCount)") }
    return words.joined(separator: " ")
  }
}
