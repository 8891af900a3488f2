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
    requireRoom(for: reader.tensors, copies: copies, of: name)
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

  /// Ends the program if there would be more tensors than a checkpoint may have, or not the memory for the state and
  /// what it is loaded into.
  private static func requireRoom(for tensors: [TensorDescriptor], copies: Int, of name: String) {
    let own = tensors.reduce(0) { $0 + $1.shape.reduce($1.dtype.byteCount, *) }
    let (byteCount, isTooLarge) = own.multipliedReportingOverflow(by: copies)
    let (count, areTooMany) = tensors.count.multipliedReportingOverflow(by: copies)
    let available = Machine.availableByteCount ?? .max
    guard !isTooLarge, !areTooMany, count <= Limits.default.tensorCountMax,
      byteCount <= available / 3
    else {
      Benchmark.fail(
        "ckpt-bench: \(copies) times the tensors of \(name) are too many, or more than a third of the memory that is "
          + "available. Use a smaller --repeat.", status: 1)
    }
  }
}
