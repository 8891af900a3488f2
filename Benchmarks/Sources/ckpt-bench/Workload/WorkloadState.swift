internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The tensors of a workload in memory: what a training program would hold, and save and restore in place.
// SAFETY (@safe): the memory lives as long as this does; every use of its address is marked.
@safe
final class WorkloadState: Checkpointable {
  let workload: Workload
  private let mapping: StateMemory

  /// - Parameters:
  ///   - workload: What is in the memory.
  ///   - memory: At least as large; nil for memory of its own, which is zero and not a state yet.
  init(_ workload: Workload, in memory: StateMemory? = nil) {
    self.workload = workload
    mapping = memory ?? StateMemory(byteCount: workload.byteCount)
    precondition(unsafe mapping.bytes.count >= workload.byteCount)
  }

  /// The state of a workload, drawn from its distributions.
  static func generated(_ workload: Workload) -> WorkloadState {
    let state = WorkloadState(workload)
    if case .drawn(let seed, _) = workload.origin { StateFiller(workload, seed: seed).fill(state) }
    return state
  }

  /// Whole pages; in memory of its own, what lies behind the last tensor is zero.
  var memory: UnsafeMutableRawBufferPointer { unsafe mapping.bytes }

  /// Another workload in the same memory.
  func showing(_ workload: Workload) -> WorkloadState { WorkloadState(workload, in: mapping) }

  /// The bytes of a tensor of the workload.
  func bytes(of tensor: TensorPlan) -> UnsafeMutableRawBufferPointer {
    // Another workload's tensor can lie elsewhere.
    precondition(tensor.byteOffset + tensor.byteCount <= workload.byteCount)
    // SAFETY: the memory is as large as the workload's layout, in which this is.
    return unsafe UnsafeMutableRawBufferPointer(
      rebasing: memory[tensor.byteOffset..<tensor.byteOffset + tensor.byteCount])
  }

  /// Overwrites all tensors, so that what is read afterwards was read.
  func scribble() {
    // SAFETY: the memory is as large as the workload's layout.
    unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<workload.byteCount])
      .initializeMemory(as: UInt8.self, repeating: 0xA5)
  }

  /// Whether all tensors are the same, byte for byte, wherever they lie.
  func hasSameTensors(as other: WorkloadState) -> Bool {
    guard workload.tensors.count == other.workload.tensors.count else { return false }
    return zip(workload.tensors, other.workload.tensors).allSatisfy { mine, its in
      let (left, right) = unsafe (bytes(of: mine), other.bytes(of: its))
      guard left.count == right.count else { return false }
      guard let first = left.baseAddress, let second = right.baseAddress else { return true }
      // SAFETY: both have that many bytes.
      return unsafe memcmp(first, second, left.count) == 0
    }
  }

  func save(to state: inout StateWriter) throws {
    for tensor in workload.tensors {
      // SAFETY: the mapping outlives the call.
      unsafe try state.tensor(
        tensor.name, dtype: tensor.dtype, shape: tensor.shape,
        unsafeBytes: UnsafeRawBufferPointer(bytes(of: tensor)))
    }
  }

  func restore(from state: StateReader) throws {
    for tensor in workload.tensors {
      // SAFETY: the mapping outlives the call, and nobody else looks at it meanwhile.
      unsafe try state.tensor(
        tensor.name, dtype: tensor.dtype, shape: tensor.shape, into: bytes(of: tensor))
    }
  }
}
