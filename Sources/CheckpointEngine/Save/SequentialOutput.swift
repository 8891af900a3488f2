internal import CheckpointFormat
package import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

#if Mutants
  internal import CheckpointMutants
#endif

/// A file written from its start to its end, which remembers a failure for ever.
///
/// After a failed write, fsync, close and rename of the truncated file would all succeed. So the
/// first error stays, every later call throws it again, and nothing is published.
package final class SequentialOutput {
  private let backend: any StorageBackend
  private let descriptor: Descriptor
  /// Bytes accepted so far, which is where the next ones go.
  package private(set) var byteCount: UInt64 = 0
  private var failure: StorageError?

  package init(_ backend: any StorageBackend, _ descriptor: Descriptor) {
    self.backend = backend
    self.descriptor = descriptor
  }

  /// Appends `bytes`.
  package func append(_ bytes: RawSpan) throws(StorageError) {
    try requireSound()
    do {
      try backend.writeAll(descriptor, bytes, at: byteCount)
    } catch {
      #if Mutants
        if Mutant.isActive(.failedWriteForgotten) { throw error }
      #endif
      failure = error
      throw error
    }
    byteCount += UInt64(bytes.byteCount)
  }

  /// Appends zeros up to `offset`.
  package func pad(to offset: UInt64) throws(StorageError) {
    try append([UInt8](repeating: 0, count: Int(offset - byteCount)).rawSpan)
  }

  /// Refuses everything from here on: the file is about to be closed, and its descriptor's number
  /// may soon be another file's.
  package func end() { failure = failure ?? StorageError(.write, errno: EBADF) }

  /// Throws the first failure again.
  package func requireSound() throws(StorageError) {
    if let failure { throw failure }
  }
}
