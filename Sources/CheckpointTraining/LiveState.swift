internal import CheckpointEngine
internal import CheckpointFormat

/// What a trainer holds, before a part of it is replaced: `restore(from:)` puts back the rest from here.
struct LiveState {
  private let plan: SavePlan
  private let tensors: [StateName: [UInt8]]

  /// Copies the tensors for which `isNeeded` holds, and all values.
  init(
    of state: some Checkpointable, _ plan: SavePlan, where isNeeded: (String) -> Bool
  ) throws {
    self.plan = plan
    let needed = plan.entries.map { isNeeded($0.descriptor.name) }
    let copier = TensorCopier(plan, needed)
    do {
      try StatePlanning.write(state, plan: plan, to: copier)
    } catch let failure as StateFailure {
      throw failure.cause
    }
    var tensors: [StateName: [UInt8]] = [:]
    for (number, entry) in plan.entries.enumerated() where needed[number] {
      tensors[StateName(entry.descriptor.name)] = copier.copies[entry.aliasOf ?? number]
    }
    self.tensors = tensors
  }

  /// Puts a tensor or value into a table as the trainer has it.
  func put(_ name: String, into table: inout StateTable) {
    if let bytes = tensors[StateName(name)], let descriptor = plan.descriptor(of: name) {
      table.set(TensorSource(descriptor, bytes: bytes), named: name)
    }
    if let value = plan.metadata[.state, name] { table.set(value, named: name) }
  }
}

/// Takes a state tensor by tensor, and keeps some of them.
private final class TensorCopier: StateSink {
  /// By the number of the entry.
  private(set) var copies: [Int: [UInt8]] = [:]
  /// The numbers of the entries that bring bytes of their own, and whether they are kept.
  private var coming: ArraySlice<(number: Int, isKept: Bool)>

  init(_ plan: SavePlan, _ needed: [Bool]) {
    var isKept = needed
    for (number, entry) in plan.entries.enumerated() where needed[number] {
      isKept[entry.aliasOf ?? number] = true
    }
    coming =
      plan.entries.indices.filter { plan.entries[$0].aliasOf == nil }
      .map { ($0, isKept[$0]) }[...]
  }

  func append(_ bytes: RawSpan) {
    guard let (number, isKept) = coming.popFirst(), isKept else { return }
    // SAFETY: the bytes are borrowed for this call, and copied in it.
    copies[number] = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    guard let (number, isKept) = coming.popFirst(), isKept else { return }
    var bytes = [UInt8](repeating: 0, count: Int(byteCount))
    // SAFETY: the body is lent the array's bytes for its call.
    try unsafe bytes.withUnsafeMutableBytes { target in
      if unsafe !target.isEmpty { try unsafe body(0, target) }
    }
    copies[number] = bytes
  }
}
