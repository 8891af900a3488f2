internal import CheckpointTraining

/// The extra resident memory of saving and loading a state of 1 GiB.
enum MemoryCase {
  static func run(in directory: String) throws {
    var state = ArrayState(tensorCount: 16, elementCount: 16 << 20)
    let digest = try stateDigest(of: state)
    let manager = try CheckpointManager(
      directory: directory, saving: .manual, keeping: .last(1))
    try manager.resume(&state, from: .never)

    let saving = try Machine.extraMebibytes {
      guard case .saved(let receipt, _) = try manager.save(state, step: 1) else {
        Benchmark.fail("the save failed", status: 1)
      }
      print(
        "saved \(receipt.stateByteCount >> 20) MiB as \(receipt.byteCount >> 20) MiB in "
          + "\(Benchmark.rounded(receipt.seconds)) s")
    }
    Benchmark.check("save, extra memory", saving, unit: "MiB", bound: 74)

    for index in state.tensors.indices {
      for element in state.tensors[index].indices { state.tensors[index][element] = 0 }
    }
    var seconds = 0.0
    let loading = try Machine.extraMebibytes {
      seconds = try Benchmark.seconds { try manager.resume(&state, from: .latest) }
    }
    print("verified and loaded in \(Benchmark.rounded(seconds)) s")
    Benchmark.check("load, extra memory", loading, unit: "MiB", bound: 74)
    guard try stateDigest(of: state) == digest else {
      Benchmark.fail("the state came back different", status: 1)
    }
  }
}
