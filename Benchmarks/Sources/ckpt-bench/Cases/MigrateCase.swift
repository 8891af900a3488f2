internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// A migration of 1 GiB from version 1 beside a plain load and a save of the same, in turns; and its extra
/// resident memory.
enum MigrateCase {
  private static let rounds = 5

  static func run(in directory: String) throws {
    RawFile.makeDirectory(directory)
    for (name, compression) in [("stored", Compression.none), ("compressed", .always)] {
      try measure(name, compression, in: directory)
    }
  }

  private static func measure(
    _ name: String, _ compression: Compression, in directory: String
  ) throws {
    var state = ArrayState(tensorCount: 16, elementCount: 16 << 20)
    let source = directory + "/source"
    RawFile.removeDirectory(source)
    let options = StoreOptions(compression: compression, formatVersion: .v1)
    let path = try save(state, in: source, options)
    var ratios: [Double] = []
    var memory: [Double] = []
    var times: [(plain: Double, migration: Double)] = []
    for _ in 0..<rounds {
      let store = directory + "/target"
      RawFile.removeDirectory(store)
      let plain = try Benchmark.seconds {
        try load(path, into: &state)
        _ = try save(state, in: store, StoreOptions(compression: .always))
      }
      RawFile.removeDirectory(store)
      RawFile.makeDirectory(store)
      var migration = 0.0
      memory.append(
        try Machine.extraMebibytes {
          migration = try Benchmark.seconds {
            let reader = try CheckpointReader.open(path: path)
            let plan = try CheckpointMigration(
              of: reader, by: MigrationPlan(to: .v2), options: StoreOptions(compression: .always))
            _ = try plan.write(to: store + "/migrated.ckpt")
          }
        })
      RawFile.removeDirectory(store)
      ratios.append(migration / plain)
      times.append((plain, migration))
    }
    let middle = rounds / 2
    let order = ratios.indices.sorted { ratios[$0] < ratios[$1] }
    let median = times[order[middle]]
    print(
      "\(name): plain load and save \(Benchmark.rounded(median.plain)) s, migration "
        + "\(Benchmark.rounded(median.migration)) s "
        + "(\(Benchmark.rounded(ratios[order[0]]))…\(Benchmark.rounded(ratios[order[rounds - 1]])))"
    )
    Benchmark.check(
      "\(name), migration, of load and save", ratios[order[middle]], unit: "times", bound: 2)
    Benchmark.check("\(name), extra memory", memory.max() ?? 0, unit: "MiB", bound: 96)
    RawFile.removeDirectory(source)
  }

  /// Reads every tensor once, verified, into memory that was touched before.
  private static func load(_ path: String, into state: inout ArrayState) throws {
    let reader = try CheckpointReader.open(path: path)
    for index in state.tensors.indices {
      try unsafe state.tensors[index].withUnsafeMutableBytes { bytes in
        // SAFETY: the array is as long as the tensor, or reading refuses.
        try unsafe reader.read("t\(index)", into: bytes)
      }
    }
  }

  private static func save(
    _ state: ArrayState, in store: String, _ options: StoreOptions
  ) throws -> String {
    var state = state
    let manager = try CheckpointManager(
      directory: store, saving: .manual, onSaveFailure: .stop, options: options)
    try manager.resume(&state, from: .never)
    guard case .saved(let receipt, _) = try manager.save(state, step: 1) else {
      Benchmark.fail("the save failed", status: 1)
    }
    return receipt.path
  }
}
