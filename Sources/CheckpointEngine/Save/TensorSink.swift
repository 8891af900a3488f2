internal import CheckpointStorage

/// Takes the bytes of the planned tensors, in the order of the plan.
package final class TensorSink {
  private let pipeline: ChunkPipeline
  private let describe: (StorageError) -> CheckpointError

  init(_ pipeline: ChunkPipeline, describe: @escaping (StorageError) -> CheckpointError) {
    self.pipeline = pipeline
    self.describe = describe
  }

  /// Takes the next bytes; they are copied before this returns.
  ///
  /// - Precondition: No more bytes come than the plan's tensors have.
  package func append(_ bytes: RawSpan) throws(CheckpointError) {
    do {
      try pipeline.append(bytes)
    } catch {
      throw describe(error)
    }
  }

  /// Has `body` produce the next `byteCount` bytes, range by range in ascending order.
  ///
  /// - Parameters:
  ///   - byteCount: How many bytes.
  ///   - body: Is given the offset of a range, counted from the first of these bytes, and a zeroed
  ///     buffer to fill. What it throws is thrown unchanged.
  /// - Throws: ``CheckpointError`` if the disk refuses, or what `body` throws.
  package func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    do {
      // SAFETY: `body` is the caller's, and is lent each buffer for one call.
      try unsafe pipeline.fill(byteCount, body)
    } catch let error as StorageError {
      throw describe(error)
    }
  }
}
