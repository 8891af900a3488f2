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
    let copier = TensorCopier(plan, isNeeded)
    do {
      try StatePlanning.write(state, plan: plan, to: copier)
    } catch let failure as StateFailure {
      throw failure.cause
    }
    var tensors: [StateName: [UInt8]] = [:]
    for (number, entry) in plan.entries.enumerated() where isNeeded(entry.descriptor.name) {
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
  private var cursor: TensorCursor

  init(_ plan: SavePlan, _ isNeeded: (String) -> Bool) {
    cursor = TensorCursor(plan, where: isNeeded)
  }

  func append(_ bytes: RawSpan) {
    guard let tensor = cursor.next() else { return }
    // SAFETY: the bytes are borrowed for this call, and copied in it.
    copies[tensor.number] = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    guard let tensor = cursor.next() else { return }
    var bytes = [UInt8](repeating: 0, count: Int(byteCount))
    // SAFETY: the body is lent the array's bytes for its call.
    try unsafe bytes.withUnsafeMutableBytes { target in
      if unsafe !target.isEmpty { try unsafe body(0, target) }
    }
    copies[tensor.number] = bytes
  }
}
