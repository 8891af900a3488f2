public import CheckpointFormat

/// Proof of an acknowledged save: the checkpoint is durable and visible.
public struct SaveReceipt: Hashable, Sendable {
  /// The file's path.
  public let path: String
  /// The training step.
  public let step: UInt64
  /// The store's count of this save.
  public let generation: UInt64
  /// Names the logical checkpoint.
  public let checkpointIdentifier: Identifier
  /// Names the file.
  public let saveIdentifier: Identifier
  /// Bytes of the file.
  public let byteCount: UInt64
  /// Bytes of all tensors before encoding.
  public let stateByteCount: UInt64
  /// What a health check found wrong with the state; nil if nothing, or if there was none.
  public let unhealthyReason: String?
  /// How long the save took, from its call until it was durable.
  public let seconds: Double
}
