internal import CheckpointTraining

/// How long a save in the background keeps training waiting, beside a copy of the same bytes into warm
/// memory, in turns.
///
/// What is saved is 256 MiB, nobody trains meanwhile, and each save has ended before the next round: so
/// the time is that of the copy and of the planning. Both targets are touched before.
enum StallCase {
  private static let rounds = 9

  static func run(in directory: String) throws {
    let state = ArrayState(tensorCount: 16, elementCount: 4 << 20)
    let manager = try CheckpointManager(
      directory: directory, saving: .every(steps: 1), mode: .background(), keeping: .last(1),
      options: StoreOptions(compression: .none))
    var trainer = state
    try manager.resume(&trainer, from: .never)
    try manager.prewarm(state)
    let byteCount = state.tensors.reduce(0) { $0 + $1.count * MemoryLayout<Float>.stride }
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4096)
    defer { unsafe target.deallocate() }
    unsafe copy(state, to: target)

    var ratios: [Double] = []
    var stalls: [Double] = []
    for round in 1...rounds {
      let limit = Benchmark.seconds { unsafe copy(state, to: target) }
      guard case .started(let start) = try manager.stepCompleted(round, state: state) else {
        Benchmark.fail("no save was begun", status: 1)
      }
      try manager.finish()
      let stall = Benchmark.seconds(start.blocked)
      stalls.append(stall)
      ratios.append(stall / limit)
    }
    ratios.sort()
    stalls.sort()
    let median = rounds / 2
    print(
      "blocked \(Benchmark.rounded(stalls[median] * 1000)) ms for \(byteCount >> 20) MiB "
        + "(\(Benchmark.rounded(ratios[0]))…\(Benchmark.rounded(ratios[rounds - 1])) of a copy)")
    Benchmark.check(
      "blocked time, of a warm copy", ratios[median], unit: "times", bound: 1.5)
  }

  private static func copy(_ state: ArrayState, to target: UnsafeMutableRawBufferPointer) {
    var offset = 0
    for tensor in state.tensors {
      unsafe tensor.withUnsafeBytes { bytes in
        // SAFETY: the target was allocated with the size of all tensors.
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: bytes)
        offset += bytes.count
      }
    }
  }
}
