internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

// The one place where an errno becomes a code. A reader and a writer draw different conclusions
// from the same errno, so there are two tables.

extension CheckpointError {
  /// A call on the way to reading `path` failed.
  package init(reading path: String, _ error: StorageError) {
    let (code, advice) = Self.readingCode(error.errno)
    self.init(
      code, "Cannot read \(escaped(path)): \(Self.sentence(error)). \(advice)",
      at: Location(path: path), systemCall: error.call.rawValue, errno: error.errno)
    reason = "\(Self.sentence(error)). \(advice)"
  }

  /// A call on the way to writing `path` failed.
  package init(writing path: String, _ error: StorageError) {
    let (code, advice) = Self.writingCode(error.errno)
    self.init(
      code, "Cannot write \(escaped(path)): \(Self.sentence(error)). \(advice)",
      at: Location(path: path), systemCall: error.call.rawValue, errno: error.errno)
  }

  package static func readingCode(_ errno: Int32) -> (Code, advice: String) {
    switch errno {
    case ENOENT, ENOTDIR: (.notFound, "Check the path.")
    case ELOOP: (.notRegular, "Checkpoints are regular files, not symbolic links.")
    case ENXIO, ENODEV: (.notRegular, "Checkpoints are regular files.")
    case EACCES, EPERM: (.unreadable, "Whether it is intact cannot be told; check permissions.")
    default: (.unreadable, "Whether it is intact cannot be told; check the disk and try again.")
    }
  }

  package static func writingCode(_ errno: Int32) -> (Code, advice: String) {
    let intact = "Earlier checkpoints are intact."
    return switch errno {
    case ENOSPC: (.outOfSpace, "The disk is full. " + intact)
    case EDQUOT: (.outOfSpace, "The quota is used up. " + intact)
    case EFBIG:
      (.outOfSpace, "The file would be larger than this process may write (ulimit -f). " + intact)
    case EEXIST: (.alreadyExists, intact)
    case ENOENT, ENOTDIR: (.notFound, "Check the path.")
    case EACCES, EPERM: (.io, "Check the permissions of the directory. " + intact)
    case EROFS: (.io, "The file system is read-only. " + intact)
    case EMFILE, ENFILE: (.io, "Too many files are open. " + intact)
    default: (.io, intact)
    }
  }

  package static func sentence(_ error: StorageError) -> String {
    "\(error.call.rawValue) failed with \(errnoName(error.errno))"
  }
}

/// The text of errno(3) for a person.
package func errnoName(_ errno: Int32) -> String {
  guard let text = unsafe strerror(errno) else { return "errno \(errno)" }
  // SAFETY: strerror returns a terminated string that stays valid until the next call on this
  // thread; it is copied here.
  return unsafe String(cString: text) + " (errno \(errno))"
}
