internal import CheckpointTraining

/// The extra resident memory of saving, loading and verifying a state of 1 GiB, and of saving it in the background.
enum MemoryCase {
  /// 64 MiB and a hundredth of the state.
  private static let bound = 74.0
  /// A copy of the state, two hundredths of it, and 64 MiB.
  private static let backgroundBound = 1.02 * 1024 + 64

  static func run(in directory: String) throws {
    var state = ArrayState(tensorCount: 16, elementCount: 16 << 20)
    let digest = try stateDigest(of: state)
    let path = try saveAndLoad(&state, in: directory + "/blocking")
    guard try stateDigest(of: state) == digest else {
      Benchmark.fail("the state came back different", status: 1)
    }
    let verifying = try Machine.extraMebibytes {
      guard Verifier().verify(path, level: .full).isIntact else {
        Benchmark.fail("the checkpoint is damaged", status: 1)
      }
    }
    Benchmark.check("verification, extra memory", verifying, unit: "MiB", bound: bound)
    try saveInBackground(state, in: directory + "/background")
  }

  /// Returns the path of the checkpoint.
  private static func saveAndLoad(_ state: inout ArrayState, in directory: String) throws -> String
  {
    let manager = try CheckpointManager(directory: directory, saving: .manual, keeping: .last(1))
    try manager.resume(&state, from: .never)
    var path = ""
    let saving = try Machine.extraMebibytes {
      guard case .saved(let receipt, _) = try manager.save(state, step: 1) else {
        Benchmark.fail("the save failed", status: 1)
      }
      path = receipt.path
      print(
        "saved \(receipt.stateByteCount >> 20) MiB as \(receipt.byteCount >> 20) MiB in "
          + "\(Benchmark.rounded(receipt.seconds)) s")
    }
    Benchmark.check("save, extra memory", saving, unit: "MiB", bound: bound)

    for index in state.tensors.indices {
      for element in state.tensors[index].indices { state.tensors[index][element] = 0 }
    }
    var seconds = 0.0
    let loading = try Machine.extraMebibytes {
      seconds = try Benchmark.seconds { try manager.resume(&state, from: .latest) }
    }
    print("verified and loaded in \(Benchmark.rounded(seconds)) s")
    Benchmark.check("load, extra memory", loading, unit: "MiB", bound: bound)
    return path
  }

  private static func saveInBackground(_ state: ArrayState, in directory: String) throws {
    let manager = try CheckpointManager(
      directory: directory, saving: .every(steps: 1), mode: .background(), keeping: .last(1))
    var trainer = state
    try manager.resume(&trainer, from: .never)
    let extra = try Machine.extraMebibytes {
      // The second while the memory of the first is there.
      for step in 1...2 {
        guard case .started = try manager.stepCompleted(step, state: state) else {
          Benchmark.fail("no save was begun", status: 1)
        }
      }
      try manager.finish()
    }
    Benchmark.check(
      "saves in the background, extra memory", extra, unit: "MiB", bound: backgroundBound)
  }
}
