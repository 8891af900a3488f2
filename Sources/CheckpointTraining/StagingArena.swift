internal import CheckpointEngine
internal import CheckpointStorage

/// Memory for the copy of a state, kept from save to save: touching fresh pages takes longer than
/// copying into known ones.
///
/// Filled by one thread and read by another, never at the same time: the manager waits for a save to
/// end before it stages the next.
@safe
final class StagingArena: StateSink {
  private var memory: UnsafeMutableRawBufferPointer
  private(set) var byteCount = 0

  init() { unsafe memory = UnsafeMutableRawBufferPointer(start: nil, count: 0) }

  deinit { release() }

  /// Empties the arena and makes room for a state.
  ///
  /// - Returns: false if the system has no memory for it.
  func prepare(byteCount needed: UInt64) -> Bool {
    byteCount = 0
    guard let needed = Int(exactly: needed) else { return false }
    guard unsafe needed > memory.count else { return true }
    // Not both at once: memory is bounded by one copy.
    release()
    guard let mapping = unsafe Memory.map(needed) else { return false }
    unsafe memory = mapping
    return true
  }

  private func release() {
    guard unsafe memory.baseAddress != nil else { return }
    // SAFETY: what `prepare` has mapped; nobody reads it any more.
    unsafe Memory.unmap(memory)
    unsafe memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  /// Touches every page, so that the first copy is as fast as the others.
  func touch() {
    for offset in unsafe stride(from: 0, to: memory.count, by: 4096) {
      unsafe memory[offset] = 0
    }
  }

  func append(_ bytes: RawSpan) {
    guard !bytes.isEmpty else { return }
    unsafe bytes.withUnsafeBytes { source in
      unsafe next(source.count).copyMemory(from: source)
    }
  }

  func fill(
    _ count: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    guard count > 0 else { return }
    let target = unsafe next(Int(count))
    // What the body leaves out is zero, and the memory may hold the state before.
    unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
    try unsafe body(0, target)
  }

  /// The place of the next bytes; the plan, which the recorder holds the state to, has room for them.
  private func next(_ count: Int) -> UnsafeMutableRawBufferPointer {
    precondition(unsafe count <= memory.count - byteCount, "more bytes came than were planned")
    defer { byteCount += count }
    return unsafe UnsafeMutableRawBufferPointer(
      rebasing: memory[byteCount..<byteCount + count])
  }

  /// Gives everything that was staged to a sink, tensor by tensor.
  func write(_ plan: SavePlan, to sink: any StateSink) throws(CheckpointError) {
    let staged = unsafe UnsafeRawBufferPointer(memory)
    // SAFETY: the span ends with this call, and the memory stays for longer.
    var rest = unsafe RawSpan(_unsafeBytes: staged).extracting(first: byteCount)
    for entry in plan.entries where entry.aliasOf == nil {
      let count = Int(entry.descriptor.checkedByteCount ?? 0)
      try sink.append(rest.extracting(first: count))
      rest = rest.extracting(droppingFirst: count)
    }
  }
}
