internal import CheckpointTraining

extension WorkloadState {
  /// The tensors of a checkpoint, several times.
  ///
  /// Each copy has memory of its own, and from the second on a name with its number. An alias becomes a tensor
  /// like any other; what a checkpoint has beside tensors is left out.
  ///
  /// - Parameters:
  ///   - path: The checkpoint's file.
  ///   - copies: How often each tensor is there.
  /// - Returns: A state that has the file's name.
  /// - Throws: What reading the checkpoint throws.
  static func read(_ path: String, copies: Int) throws -> WorkloadState {
    let reader = try CheckpointReader.open(path: path)
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let state = WorkloadState(Workload(name, reader.tensors, copies: copies))
    guard state.workload.tensorByteCount > 0 else {
      Benchmark.fail("ckpt-bench: \(name) has no tensors to measure with", status: 1)
    }
    let tensors = state.workload.tensors
    // SAFETY: each memory is as large as its tensor, which `read` checks, and no two overlap.
    let targets = unsafe tensors.prefix(reader.tensorCount).map {
      unsafe (name: $0.name, target: state.bytes(of: $0))
    }
    unsafe try reader.read(targets)
    for (tensor, copy) in zip(tensors, tensors.dropFirst(reader.tensorCount)) {
      // SAFETY: two places of the same size in the state's memory.
      unsafe state.bytes(of: copy).copyMemory(from: UnsafeRawBufferPointer(state.bytes(of: tensor)))
    }
    return state
  }
}
