internal import CheckpointEngine
internal import CheckpointFormat

/// What a restore has done, so that what it forgot or spoiled can be named.
final class StateUsage {
  /// Tensors that were read to their end.
  var tensors = MarkedTensors()
  /// Tensors of which at least a part may have reached the trainer.
  var begunTensors = MarkedTensors()
  /// Values that were read.
  var values: Set<StateName> = []
  /// The number in the file of the tensor that comes next, if tensors are read in the order of saving.
  var nextNumber = 0
  /// The first tensor that could not be read, even if restore(from:) made nothing of it.
  private(set) var failure: CheckpointError?

  func note(_ error: CheckpointError) { failure = failure ?? error }
}

/// Some tensors of a state: those of its file by their numbers, so that no names need to be made.
struct MarkedTensors {
  private var reader: CheckpointReader?
  /// By number in the file.
  private var isMarked: [Bool] = []
  private var others: Set<StateName> = []

  mutating func insert(_ tensor: FoundTensor, _ name: String) {
    guard case .saved(let reader, let number) = tensor else {
      others.insert(StateName(name))
      return
    }
    if isMarked.isEmpty {
      self.reader = reader
      isMarked = [Bool](repeating: false, count: reader.tensorCount)
    }
    isMarked[number] = true
  }

  /// By number: whether a tensor of the file was marked under any of its names; none if none is.
  ///
  /// - Complexity: O(tensors).
  var roots: [Bool] {
    guard let entries = reader?.index.tensors.entries else { return [] }
    var roots = isMarked
    for number in entries.indices where isMarked[number] {
      if let root = entries[number].aliasOf { roots[root] = true }
    }
    return roots
  }

  /// The names of all of them.
  ///
  /// - Complexity: Makes a text for each.
  var names: Set<StateName> {
    guard let entries = reader?.index.tensors.entries else { return others }
    return others.union(
      isMarked.indices.lazy.filter { isMarked[$0] }.map { StateName(entries[$0].name) })
  }
}
