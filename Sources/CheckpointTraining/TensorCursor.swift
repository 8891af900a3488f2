internal import CheckpointEngine
internal import CheckpointFormat

/// Goes through the tensors of a plan as a sink is given them, and tells which of them are wanted.
struct TensorCursor {
  struct Tensor {
    /// Its number in the plan.
    let number: Int
    let descriptor: TensorDescriptor
    let isWanted: Bool
  }

  /// What brings bytes of its own, and has not come yet.
  private var coming: ArraySlice<Tensor>

  /// A tensor with several names is wanted if any of them is.
  init(_ plan: SavePlan, where isWanted: (String) -> Bool) {
    var wanted = plan.entries.map { isWanted($0.descriptor.name) }
    for (number, entry) in plan.entries.enumerated() where wanted[number] {
      wanted[entry.aliasOf ?? number] = true
    }
    coming =
      plan.entries.indices.filter { plan.entries[$0].aliasOf == nil }
      .map { Tensor(number: $0, descriptor: plan.entries[$0].descriptor, isWanted: wanted[$0]) }[
        ...]
  }

  /// The tensor whose bytes come now; nil if it is not wanted.
  mutating func next() -> Tensor? {
    coming.popFirst().flatMap { $0.isWanted ? $0 : nil }
  }
}
