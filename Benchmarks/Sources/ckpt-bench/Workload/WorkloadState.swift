internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The memory of a workload: what a training program would hold, and save and restore in place.
///
/// All tensors lie in one mapping that begins at a page, so that the same bytes can be written raw, also
/// past the page cache.
// SAFETY (@safe): the mapping is made in `init`, unmapped in `deinit` and never exchanged; every use of
// its address is marked.
@safe
final class WorkloadState: Checkpointable {
  let workload: Workload
  /// Whole pages; what lies behind the last tensor is zero.
  let memory: UnsafeMutableRawBufferPointer
  private let start: UnsafeMutableRawPointer

  static let pageByteCount = 4096

  /// Maps and touches the memory; its bytes are not zero and not a state yet.
  init(_ workload: Workload) {
    self.workload = workload
    let pageCount = (workload.byteCount + Self.pageByteCount - 1) / Self.pageByteCount
    let size = max(1, pageCount) * Self.pageByteCount
    // SAFETY: a mapping of its own, of which nobody else knows; checked below.
    let start = unsafe mmap(
      nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      Benchmark.fail("no memory for the state", status: 1)
    }
    #if canImport(Glibc)
      // A direct write from large pages is faster, and the limit shall be the fastest there is.
      unsafe madvise(start, size, MADV_HUGEPAGE)
    #endif
    unsafe self.start = start
    unsafe memory = UnsafeMutableRawBufferPointer(start: start, count: size)
    // The first touch of a page costs more than anything that is measured here.
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe munmap(start, memory.count) }

  /// The state of a workload, drawn from its distributions.
  static func generated(_ workload: Workload) -> WorkloadState {
    let state = WorkloadState(workload)
    if case .drawn(let seed, _) = workload.origin { StateFiller(workload, seed: seed).fill(state) }
    return state
  }

  /// The bytes of a tensor.
  func bytes(of tensor: TensorPlan) -> UnsafeMutableRawBufferPointer {
    // SAFETY: the workload's layout is what the mapping was sized for.
    unsafe UnsafeMutableRawBufferPointer(
      rebasing: memory[tensor.byteOffset..<tensor.byteOffset + tensor.byteCount])
  }

  /// Overwrites everything, so that what is read afterwards was read.
  func scribble() { unsafe memset(start, 0xA5, memory.count) }

  /// Whether all tensors are the same, byte for byte.
  func hasSameTensors(as other: WorkloadState) -> Bool {
    workload.tensors.allSatisfy { tensor in
      // SAFETY: both states are of the same workload, so both mappings have this range.
      unsafe memcmp(
        start + tensor.byteOffset, other.start + tensor.byteOffset, tensor.byteCount) == 0
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
