public import CheckpointEngine
internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What the data of a run is: the contents of its files, their sizes and order, the seed that they are
/// shuffled with, and how they are prepared.
///
/// ```swift
/// let data = try DatasetFingerprint(
///   files: ["train-00.bin", "train-01.bin"], orderSeed: arguments.seed,
///   preprocessing: "bpe 32k, windows of 1024")
/// contract.state(data)
/// ```
///
/// Names and places of the files do not count: data that is moved is the same data.
public struct DatasetFingerprint: Hashable, Sendable {
  /// The SHA-256 of the sizes and contents of all files in their order, 64 hexadecimal digits.
  public let contentDigest: String
  /// How many files there are.
  public let fileCount: Int
  /// Bytes of all files together.
  public let byteCount: UInt64
  /// What the order is drawn from; nil if it is that of the files.
  public let orderSeed: UInt64?
  /// How the contents are turned into samples, in words.
  public let preprocessing: String

  /// Reads files and digests them.
  ///
  /// - Parameters:
  ///   - files: Paths, in the order that they are read in; symbolic links are followed.
  ///   - orderSeed: What the order of the samples is drawn from.
  ///   - preprocessing: How the contents are turned into samples: whatever would change a batch.
  ///   - threads: How many files are read at once; nil for one per processor.
  /// - Throws: ``CheckpointError``: `.notFound`, `.unreadable`, `.notRegular` for a directory, a pipe or a
  ///   device.
  /// - Complexity: Reads every byte, in memory of a megabyte a thread. SHA-256 in plain Swift is slower
  ///   than most disks: keep the result beside data that is large and does not change.
  public init(
    files: [String], orderSeed: UInt64? = nil, preprocessing: String = "", threads: Int? = nil
  ) throws(CheckpointError) {
    let outcomes = WorkerPool.sized(threads).map(files.count) { number in
      do throws(CheckpointError) {
        return Result<DataFile, CheckpointError>.success(try DataFile(digesting: files[number]))
      } catch {
        return .failure(error)
      }
    }
    var digest = SHA256()
    var byteCount: UInt64 = 0
    for outcome in outcomes {
      let file = try outcome.get()
      byteCount += file.byteCount
      let line = Array("\(file.byteCount) \(file.digest)\n".utf8)
      // SAFETY: a UInt8 has no padding bytes.
      digest.update(unsafe line.span.bytes)
    }
    contentDigest = SHA256.hexadecimal(digest.finalize())
    fileCount = files.count
    self.byteCount = byteCount
    self.orderSeed = orderSeed
    self.preprocessing = preprocessing
  }
}

extension ResumeContract {
  /// States what the data is, as `data/content`, `data/files`, `data/order_seed` and
  /// `data/preprocessing`.
  ///
  /// - Parameters:
  ///   - data: The fingerprint.
  ///   - grade: What a difference means.
  public mutating func state(
    _ data: DatasetFingerprint, ifDifferent grade: Grade = .changesTrajectory
  ) {
    state("data/content", data.contentDigest, ifDifferent: grade)
    state("data/files", "\(data.fileCount) files, \(data.byteCount) bytes", ifDifferent: grade)
    state("data/order_seed", data.orderSeed.map { "\($0)" } ?? "none", ifDifferent: grade)
    state("data/preprocessing", data.preprocessing, ifDifferent: grade)
  }
}

/// The size and digest of a file.
private struct DataFile {
  var byteCount: UInt64 = 0
  var digest = ""

  init(digesting path: String) throws(CheckpointError) {
    // SAFETY: the path ends with NUL and is used for this call. O_NONBLOCK: a pipe must not stop us.
    let descriptor = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw Self.error(path, errno, .open) }
    defer { _ = close(descriptor) }
    var status = stat()
    // SAFETY: the system fills the record, which is ours.
    guard unsafe fstat(descriptor, &status) == 0 else { throw Self.error(path, errno, .status) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(
        .notRegular, "\(escaped(path)) is no file that data could be read from.",
        at: CheckpointError.Location(path: path))
    }
    var sum = SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      // SAFETY: the system writes at most as many bytes as the buffer has.
      let count = unsafe buffer.withUnsafeMutableBytes { target in
        unsafe read(descriptor, target.baseAddress, target.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.error(path, errno, .read) }
      if count == 0 { break }
      byteCount += UInt64(count)
      // SAFETY: a UInt8 has no padding bytes.
      sum.update(unsafe buffer.span.bytes.extracting(first: count))
    }
    digest = SHA256.hexadecimal(sum.finalize())
  }

  private static func error(
    _ path: String, _ number: Int32, _ call: SystemCall
  ) -> CheckpointError {
    let (code, _) = CheckpointError.readingCode(number)
    return CheckpointError(
      code,
      "The data in \(escaped(path)) cannot be read: \(call.rawValue) says \(errnoName(number)).",
      at: CheckpointError.Location(path: path), systemCall: call.rawValue, errno: number)
  }
}
