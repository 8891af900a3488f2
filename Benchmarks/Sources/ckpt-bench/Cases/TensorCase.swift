internal import CheckpointTraining

/// The cost of many small tensors.
enum TensorCase {
  static func run(in directory: String) throws {
    var state = ArrayState(tensorCount: 100_000, elementCount: 16)
    let manager = try CheckpointManager(directory: directory, saving: .manual, keeping: .last(1))
    try manager.resume(&state, from: .never)
    var path = ""
    let saving = try Benchmark.seconds {
      guard case .saved(let receipt, _) = try manager.save(state, step: 1) else {
        Benchmark.fail("the save failed", status: 1)
      }
      path = receipt.path
    }
    Benchmark.check("save of 100,000 tensors", saving, unit: "s", bound: 2)
    var count = 0
    let opening = try Benchmark.seconds {
      count = try CheckpointReader.open(path: path).tensors.count
    }
    Benchmark.check("open of \(count) tensors", opening, unit: "s", bound: 0.5)
    let resuming = try Benchmark.seconds { try manager.resume(&state, from: .latest) }
    print("verify and restore of \(count) tensors: \(Benchmark.rounded(resuming)) s")
  }
}
