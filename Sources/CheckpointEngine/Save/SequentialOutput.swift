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
/// Only whole blocks are written, each of them once; what is less waits for the rest. A file system
/// that copies on write (btrfs) may have written a block back before it is filled up, and then asks
/// for room that was not reserved.
///
/// After a failed write, fsync, close and rename of the truncated file would all succeed. So the
/// first error stays, every later call throws it again, and nothing is published.
package final class SequentialOutput {
  private let backend: any StorageBackend
  private let descriptor: Descriptor
  /// Bytes accepted so far, which is where the next ones go.
  package private(set) var byteCount: UInt64 = 0
  /// Bytes handed to the file system: all that were accepted, up to the last whole block.
  package private(set) var writtenByteCount: UInt64 = 0
  /// The begun block.
  private var tail: [UInt8] = []
  private var failure: StorageError?

  /// Files have whole ones.
  private static let blockByteCount = Int(Layout.fileAlignment)

  package init(_ backend: any StorageBackend, _ descriptor: Descriptor) {
    self.backend = backend
    self.descriptor = descriptor
  }

  /// Appends `bytes`.
  package func append(_ bytes: RawSpan) throws(StorageError) {
    try requireSound()
    let block = Self.blockByteCount
    let begun = tail.isEmpty ? 0 : min(block - tail.count, bytes.byteCount)
    hold(bytes.extracting(first: begun))
    if tail.count == block {
      let filled = tail
      try write(filled.rawSpan)
      tail = []
    }
    let whole = (bytes.byteCount - begun) / block * block
    if whole > 0 { try write(bytes.extracting(begun..<begun + whole)) }
    hold(bytes.extracting(droppingFirst: begun + whole))
    byteCount += UInt64(bytes.byteCount)
  }

  private func hold(_ bytes: RawSpan) {
    // SAFETY: the bytes are copied within the call.
    unsafe bytes.withUnsafeBytes { unsafe tail.append(contentsOf: $0) }
  }

  private func write(_ blocks: RawSpan) throws(StorageError) {
    do {
      try backend.writeAll(descriptor, blocks, at: writtenByteCount)
    } catch {
      #if Mutants
        if Mutant.isActive(.failedWriteForgotten) { throw error }
      #endif
      failure = error
      throw error
    }
    writtenByteCount += UInt64(blocks.byteCount)
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
