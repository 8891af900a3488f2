internal import CheckpointTraining

/// The cost of many small tensors.
enum TensorCase {
  /// What was over its bound; told together at the end, so that one miss does not hide the others.
  private struct Misses {
    var names: [String] = []

    /// Compares with a goal, for a machine that does nothing else, and with a bound of four times as much,
    /// which no machine should be over.
    mutating func check(_ name: String, _ value: Double, unit: String, goal: Double) {
      print(
        "\(name): \(Benchmark.rounded(value)) \(unit) (goal \(Benchmark.rounded(goal)), "
          + "\(value <= goal ? "met" : "MISSED"); bound \(Benchmark.rounded(4 * goal)))")
      if value > 4 * goal { names.append(name) }
    }
  }

  static func run(in directory: String) throws {
    var misses = Misses()
    try tiny(in: directory + "/tiny", &misses)
    try store(in: directory + "/store", &misses)
    try proportion(in: directory + "/proportion", &misses)
    guard misses.names.isEmpty else {
      Benchmark.fail("over their bounds: \(misses.names.joined(separator: "; "))", status: 1)
    }
  }

  /// Two are kept: before the last predecessor goes, a save is read back, which is none of its cost.
  private static func manager(
    _ directory: String, keeping: RetentionPolicy = .last(2)
  ) throws -> CheckpointManager {
    try CheckpointManager(
      directory: directory, saving: .manual, keeping: keeping,
      options: StoreOptions(compression: .none))
  }

  private static func save(
    _ state: some Checkpointable, step: Int, with manager: CheckpointManager
  ) throws -> SaveReceipt {
    guard case .saved(let receipt, _) = try manager.save(state, step: step) else {
      Benchmark.fail("the save failed", status: 1)
    }
    return receipt
  }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  // MARK: 100,000 tensors of 64 bytes

  private static func tiny(in directory: String, _ misses: inout Misses) throws {
    let count = 100_000
    let rounds = 5
    var state = ArrayState(tensorCount: count, elementCount: 16)
    let manager = try manager(directory)
    try manager.resume(&state, from: .never)
    var path = ""
    let saving = try (1...rounds).map { step in
      try Benchmark.seconds { path = try save(state, step: step, with: manager).path }
    }
    let opening = try (0..<rounds).map { _ in
      try Benchmark.seconds {
        guard try CheckpointReader.open(path: path).tensorCount == count else {
          Benchmark.fail("tensors are missing", status: 1)
        }
      }
    }
    let resuming = try (0..<rounds).map { _ in
      try Benchmark.seconds { try manager.resume(&state, from: .latest) }
    }
    let microseconds = 1e6 / Double(count)
    misses.check(
      "save, for each of 100,000 tensors of 64 bytes",
      median(saving) * microseconds, unit: "µs", goal: 2)
    misses.check("open 100,000 tensors", median(opening) * 1e3, unit: "ms", goal: 8)
    misses.check(
      "verify and restore, for each of 100,000 tensors of 64 bytes",
      median(resuming) * microseconds, unit: "µs", goal: 2)
  }

  // MARK: 50 checkpoints of 10,000 tensors

  private static func store(in directory: String, _ misses: inout Misses) throws {
    let count = 50
    do {
      var state = ArrayState(tensorCount: 10_000, elementCount: 1)
      let manager = try manager(directory, keeping: .all)
      try manager.resume(&state, from: .never)
      for step in 1...count { _ = try save(state, step: step, with: manager) }
    }
    for access in [CheckpointStore.Access.writing, .reading] {
      let seconds = try (0..<9).map { _ in
        try Benchmark.seconds {
          let store = try CheckpointStore(directory, for: access)
          let (entries, nodes) = (try store.entries(), try store.lineage())
          guard entries.count == count, nodes.count == count else {
            Benchmark.fail("checkpoints are missing", status: 1)
          }
        }
      }
      misses.check(
        "open a store of 50 checkpoints for \(access), with its listing and lineage",
        median(seconds) * 1e3, unit: "ms", goal: 50)
    }
  }

  // MARK: 100,000 tensors of 4 KiB beside one tensor of all their bytes

  /// A state in its own store, and how long things took.
  private struct Side {
    let manager: CheckpointManager
    var state: ArrayState
    var seconds: [String: [Double]] = [:]

    /// Saves, resumes and reads once, the last into memory of the size of all tensors.
    mutating func measure(step: Int, _ memory: UnsafeMutableRawBufferPointer) throws {
      var path = ""
      let saving = try Benchmark.seconds {
        path = try TensorCase.save(state, step: step, with: manager).path
      }
      let resuming = try Benchmark.seconds { try manager.resume(&state, from: .latest) }
      let reading = try Benchmark.seconds { unsafe try read(path, into: memory) }
      for (arm, value) in [("save", saving), ("resume", resuming), ("read", reading)] {
        seconds[arm, default: []].append(value)
      }
    }

    /// Reads all tensors in one call, one behind the other.
    private func read(_ path: String, into memory: UnsafeMutableRawBufferPointer) throws {
      var offset = 0
      var targets: [(name: String, target: UnsafeMutableRawBufferPointer)] = unsafe []
      for (index, tensor) in state.tensors.enumerated() {
        let end = offset + tensor.count * MemoryLayout<Float>.stride
        // SAFETY: the memory has the size of all tensors, of which each gets its own part.
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[offset..<end])
        unsafe targets.append((name: "t\(index)", target: target))
        offset = end
      }
      unsafe try CheckpointReader.open(path: path).read(targets)
    }
  }

  private static func proportion(in directory: String, _ misses: inout Misses) throws {
    var sides: [Side] = []
    for (name, count) in [("many", 100_000), ("one", 1)] {
      let manager = try manager(directory + "/" + name)
      var state = ArrayState(tensorCount: count, elementCount: 100_000 / count * 1024)
      try manager.resume(&state, from: .never)
      sides.append(Side(manager: manager, state: state))
    }
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 100_000 * 4096, alignment: 4096)
    defer { unsafe memory.deallocate() }
    // The first touch of a page costs more than what is measured.
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    for step in 1...7 {
      for side in step % 2 == 0 ? [0, 1] : [1, 0] {
        unsafe try sides[side].measure(step: step, memory)
      }
    }
    for arm in ["save", "resume", "read"] {
      let (many, one) = (sides[0].seconds[arm] ?? [], sides[1].seconds[arm] ?? [])
      print(
        "\(arm) of 410 MB: \(Benchmark.rounded(median(many))) s as 100,000 tensors, "
          + "\(Benchmark.rounded(median(one))) s as one")
      misses.check(
        "\(arm) of 100,000 tensors of 4 KiB, of the same as one",
        median(zip(many, one).map { $0 / $1 }), unit: "times", goal: 1.3)
    }
  }
}
