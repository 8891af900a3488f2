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

/// A name compared by its bytes, as the format does.
struct StateName: Hashable {
  let text: String

  init(_ text: String) { self.text = text }

  static func == (left: StateName, right: StateName) -> Bool {
    left.text.hasSameBytes(as: right.text)
  }

  func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}
