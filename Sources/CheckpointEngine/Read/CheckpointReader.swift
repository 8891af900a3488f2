public import CheckpointFormat
public import CheckpointStorage

/// An open checkpoint: its description, and its tensors one by one.
///
/// Opening reads and checks the index and no tensor. Every chunk that is read is checked against
/// both of its checksums, so a tensor comes back as it was saved or not at all. The file is held
/// under a shared lock while the reader lives, which retention respects; even without the lock
/// the bytes stay readable, since a published file is never modified.
///
/// A reader keeps memory for two chunks and their planes for each thread that has read, and, where small
/// tensors were read in a row, up to eight windows of 1 MiB.
public final class CheckpointReader: Sendable {
  let file: OpenFile
  package let index: FileIndex
  let pool: WorkerPool
  let workspaces = LendingPool { ChunkWorkspace() }
  let readAhead: ReadAhead

  /// The file's path.
  public var path: String { file.path }
  /// Bytes of the file.
  public var byteCount: UInt64 { file.byteCount }
  /// Who wrote the checkpoint, when, and where it stands in its run.
  public var header: CheckpointHeader { index.header }
  /// The typed values.
  public var metadata: Metadata { index.metadata }
  /// How many tensors there are, aliases included.
  public var tensorCount: Int { index.tensors.entries.count }
  /// The tensors in the order of saving, aliases included.
  ///
  /// - Complexity: O(tensors): makes a text and a list for each.
  public var tensors: [TensorDescriptor] { index.tensors.entries.map(\.descriptor) }

  package init(_ file: OpenFile, limits: Limits, pool: WorkerPool) throws(CheckpointError) {
    self.file = file
    self.pool = pool
    index = try FileIndex(reading: file, limits: limits)
    readAhead = ReadAhead(
      ChunkLoader(file: file, index: index, workspaces: workspaces), pool)
  }

  /// Opens the checkpoint at `path`.
  ///
  /// - Parameters:
  ///   - path: A file; a symbolic link is refused.
  ///   - device: Where the file is.
  ///   - limits: The largest numbers accepted; `.strict` for files from people you do not trust.
  ///   - threads: How many threads read and decode; nil for one per processor.
  /// - Returns: A reader; the file stays open and locked while it lives.
  /// - Throws: ``CheckpointError``: `.notFound`, `.notRegular`, `.corrupted`, `.unsupported` or
  ///   `.unreadable`.
  /// - Complexity: O(index) time and memory, independent of the tensors' bytes.
  public static func open(
    path: String, on device: StorageDevice = .posix, limits: Limits = .default,
    threads: Int? = nil
  ) throws(CheckpointError) -> CheckpointReader {
    let (parent, name) = StoreDirectory.split(path)
    let directory = try StoreDirectory.open(parent, on: device)
    let file = try directory.openHeld(name)
    return try CheckpointReader(file, limits: limits, pool: .sized(threads))
  }

  /// Keeps the file from being removed by retention after the reader is gone, for uploads.
  ///
  /// - Returns: Something to keep; dropping it ends the hold.
  public func hold() -> CheckpointHold { CheckpointHold(file) }

  /// What is known of the tensor called `name`, compared by the bytes of its UTF-8.
  public func descriptor(of name: String) -> TensorDescriptor? {
    index.nameOrder.tensor(named: name, in: index.tensors)
      .map { index.tensors.entries[$0].descriptor }
  }

  /// Reads a whole tensor into a new array of bytes, row-major and little-endian.
  ///
  /// - Parameter name: The tensor's name, compared by the bytes of its UTF-8.
  /// - Returns: The bytes.
  /// - Throws: ``CheckpointError``: `.notFound`, `.overLimit` if this machine has no memory for it,
  ///   `.corrupted` or `.unreadable`.
  public func read(_ name: String) throws(CheckpointError) -> [UInt8] {
    let entry = index.tensors.entries[try number(of: name)]
    return try read(entry, 0..<entry.byteCount)
  }

  /// Reads a whole tensor into the caller's memory.
  ///
  /// When this throws, the contents of `target` are unspecified.
  ///
  /// - Parameters:
  ///   - name: The tensor's name, compared by the bytes of its UTF-8.
  ///   - target: As many bytes as the tensor has.
  /// - Throws: ``CheckpointError``: `.notFound`, `.incompatibleState` if the sizes differ,
  ///   `.corrupted` or `.unreadable`.
  /// - Complexity: No extra memory but what a reader keeps.
  public func read(
    _ name: String, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let entry = index.tensors.entries[try number(of: name)]
    try requireSize(target.count, of: entry)
    // SAFETY: as many bytes as the range has, checked above, lent for this call.
    unsafe try read(entry, 0..<entry.byteCount, into: target)
  }

  /// Reads some rows of a tensor, that is a range of its first dimension, and no other chunks.
  ///
  /// - Parameters:
  ///   - rows: Within the first dimension.
  ///   - name: A tensor of rank 1 or more.
  /// - Returns: The bytes of these rows, row-major and little-endian.
  /// - Throws: ``CheckpointError``: `.notFound` also if the tensor has no such rows, `.overLimit` if this
  ///   machine has no memory for them, `.corrupted` or `.unreadable`.
  public func read(rows: Range<Int>, of name: String) throws(CheckpointError) -> [UInt8] {
    let entry = index.tensors.entries[try number(of: name)]
    return try read(entry, try byteRange(rows, of: entry))
  }

  /// Reads some rows of a tensor into the caller's memory.
  ///
  /// - Parameters:
  ///   - rows: Within the first dimension.
  ///   - name: A tensor of rank 1 or more.
  ///   - target: As many bytes as these rows have.
  /// - Throws: As ``read(rows:of:)``, and `.incompatibleState` if the sizes differ.
  public func read(
    rows: Range<Int>, of name: String, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let entry = index.tensors.entries[try number(of: name)]
    let range = try byteRange(rows, of: entry)
    guard UInt64(range.count) == UInt64(target.count) else {
      throw CheckpointError(
        .incompatibleState,
        "Rows \(rows) of '\(escaped(name))' have \(range.count) bytes; the memory for them has "
          + "\(target.count).", at: CheckpointError.Location(path: path, tensor: name))
    }
    unsafe try read(entry, range, into: target)
  }

  func requireSize(_ byteCount: Int, of entry: TensorTable.Entry) throws(CheckpointError) {
    guard entry.byteCount == UInt64(byteCount) else {
      throw CheckpointError(
        .incompatibleState,
        "Tensor '\(escaped(entry.name))' has \(entry.byteCount) bytes; the memory for it has "
          + "\(byteCount).", at: CheckpointError.Location(path: path, tensor: entry.name))
    }
  }

  /// The number of a tensor; a guess is looked at first.
  func number(of name: String, trying guess: Int = -1) throws(CheckpointError) -> Int {
    let known = index.nameOrder.tensor(named: name, in: index.tensors, trying: guess)
    guard let number = known else {
      throw CheckpointError(
        .notFound, "\(escaped(path)) has no tensor called '\(escaped(name))'.",
        at: CheckpointError.Location(path: path))
    }
    return number
  }

  func byteRange(
    _ rows: Range<Int>, of entry: TensorTable.Entry
  ) throws(CheckpointError) -> Range<UInt64> {
    guard let rowCount = entry.descriptor.shape.first, rows.lowerBound >= 0,
      rows.upperBound <= rowCount
    else {
      throw CheckpointError(
        .notFound,
        "'\(escaped(entry.descriptor.name))' of shape \(entry.descriptor.shape) has no rows "
          + "\(rows).", at: CheckpointError.Location(path: path, tensor: entry.descriptor.name))
    }
    let rowByteCount = rowCount == 0 ? 0 : entry.byteCount / UInt64(rowCount)
    return UInt64(rows.lowerBound) * rowByteCount..<UInt64(rows.upperBound) * rowByteCount
  }
}

/// Keeps a checkpoint from being removed by retention while it lives.
public final class CheckpointHold: Sendable {
  private let file: OpenFile
  /// Whether retention is kept away, as far as locks work.
  ///
  /// False where the file system would not lock the file: what is open stays readable all the same,
  /// but its name may go.
  public let isLocked: Bool

  init(_ file: OpenFile) {
    self.file = file
    // Taking a lock again that the descriptor has changes nothing.
    isLocked = (try? file.backend.lock(file.descriptor, .shared)) == true
  }

  /// The held file's path.
  public var path: String { file.path }
}
