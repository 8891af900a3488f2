/// An error from saving, reading, recovering or verifying a checkpoint.
public struct CheckpointError: Error, Hashable, Sendable {
  /// What kind of failure this is: the one property to branch on.
  public var code: Code
  /// What happened, where, and what to do next, for a person.
  public var message: String
  /// The message without path, offset and advice, for where those stand beside it already.
  package var reason: String?
  /// Where the failure is, if it has a place.
  public var location: Location?
  /// The system call that refused, by its name in a trace.
  public var systemCall: String?
  /// The errno(3) of that call.
  public var errno: Int32?

  /// An extensible set of failure kinds; new kinds may appear in a minor release.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Hashable, Sendable {
      case corrupted, notRegular, unsupported, unreadable, io, outOfSpace, durabilityUnknown, busy
      case alreadyExists, notFound, ambiguous, noIntactCheckpoint, invalidState
      case incompatibleState, overLimit, notEmpty, unhealthy
    }
    package let kind: Kind

    /// The kind as a word.
    public var description: String { kind.rawValue }
    /// Bytes contradict a checksum or docs/format.md, or the file is incomplete.
    public static let corrupted = Code(kind: .corrupted)
    /// A directory, FIFO, device or symbolic link under a checkpoint's name.
    public static let notRegular = Code(kind: .notRegular)
    /// The file is sound so far, but needs a newer build or larger limits.
    public static let unsupported = Code(kind: .unsupported)
    /// The system refused to read: whether the checkpoint is intact cannot be told.
    public static let unreadable = Code(kind: .unreadable)
    /// The system refused to write; earlier checkpoints are intact.
    public static let io = Code(kind: .io)
    /// The disk or the quota is full; earlier checkpoints are intact.
    public static let outOfSpace = Code(kind: .outOfSpace)
    /// The checkpoint is in place, but whether it survives a power cut is not known.
    public static let durabilityUnknown = Code(kind: .durabilityUnknown)
    /// Another process has the store open for writing.
    public static let busy = Code(kind: .busy)
    /// The name of the new checkpoint is taken.
    public static let alreadyExists = Code(kind: .alreadyExists)
    /// There is no such directory, file, step, generation or tensor.
    public static let notFound = Code(kind: .notFound)
    /// More than one checkpoint could be meant.
    public static let ambiguous = Code(kind: .ambiguous)
    /// Checkpoints exist, and none of them verifies.
    public static let noIntactCheckpoint = Code(kind: .noIntactCheckpoint)
    /// What the training program asked to be saved contradicts itself.
    public static let invalidState = Code(kind: .invalidState)
    /// The checkpoint does not fit the training program.
    public static let incompatibleState = Code(kind: .incompatibleState)
    /// Something to be saved is larger than readers accept.
    public static let overLimit = Code(kind: .overLimit)
    /// A fresh run was started where checkpoints are.
    public static let notEmpty = Code(kind: .notEmpty)
    /// The checkpoint is intact, and a check of the training program speaks against going on from it.
    public static let unhealthy = Code(kind: .unhealthy)
  }

  /// A place in a checkpoint.
  public struct Location: Hashable, Sendable {
    /// The file's path.
    public var path: String
    /// Bytes from the start of the file.
    public var offset: UInt64?
    /// The tensor that owns the bytes.
    public var tensor: String?
    /// The chunk's place in that tensor, from 0.
    public var chunk: Int?

    /// Makes a location.
    public init(path: String, offset: UInt64? = nil, tensor: String? = nil, chunk: Int? = nil) {
      self.path = path
      self.offset = offset
      self.tensor = tensor
      self.chunk = chunk
    }
  }

  /// Makes an error.
  public init(
    _ code: Code, _ message: String, at location: Location? = nil, systemCall: String? = nil,
    errno: Int32? = nil
  ) {
    self.code = code
    self.message = message
    self.location = location
    self.systemCall = systemCall
    self.errno = errno
  }
}

extension CheckpointError: CustomStringConvertible {
  /// The message.
  public var description: String { message }
}
