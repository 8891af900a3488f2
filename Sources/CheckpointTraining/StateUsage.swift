internal import CheckpointEngine
internal import CheckpointFormat

/// What a restore has done, so that what it forgot or spoiled can be named.
final class StateUsage {
  /// Tensors that were read to their end.
  var tensors: Set<StateName> = []
  /// Tensors of which at least a part may have reached the trainer.
  var begunTensors: Set<StateName> = []
  /// Values that were read.
  var values: Set<StateName> = []
  /// The first tensor that could not be read, even if restore(from:) made nothing of it.
  private(set) var failure: CheckpointError?

  func note(_ error: CheckpointError) { failure = failure ?? error }
}
