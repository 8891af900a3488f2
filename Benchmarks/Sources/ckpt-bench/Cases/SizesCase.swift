internal import CheckpointTraining

/// How the time of saves, loads and verifications grows with the size of the state.
///
/// One state of 256 MiB is generated. Larger ones have its tensors again and again, under other names and in
/// the same memory; smaller ones have some of its parameters, with their moments. A chunk of 1 MiB is
/// compressed by itself, so that no repetition is found, and 256 MiB are more than the caches hold. What is
/// loaded has memory of its own for every tensor: one mapping, of which each size takes the beginning.
struct SizesCase {
  private static let mebibytes = [64, 256, 1024, 3072, 6144]
  private static let baseByteCount = 256 << 20

  private let options: Options

  /// A size that is measured.
  private struct Size {
    let mebibytes: Int
    let workload: Workload
    /// Whether there is memory to load it into.
    let isLoaded: Bool
  }

  init(_ options: Options) { self.options = options }

  func run() throws {
    RawFile.makeDirectory(options.directory)
    let workload = options.workload(byteCount: Self.baseByteCount)
    let sizes = sizes(of: workload)
    guard sizes.count > 1 else {
      Benchmark.fail("ckpt-bench: there is no slope of fewer than two sizes", status: 1)
    }
    let base = WorkloadState.generated(workload)
    print(try StateCase.description(of: base, json: options.printsJSON))
    let loaded = sizes.last(where: \.isLoaded)?.workload.spread()
    let target = StateMemory(byteCount: loaded?.byteCount ?? 0)

    let benches = sizes.map { size in
      let bench = Workbench(
        options, base.showing(size.workload), in: options.directory + "/\(size.mebibytes)")
      if size.isLoaded { bench.target = WorkloadState(size.workload.spread(), in: target) }
      return bench
    }
    try measure(sizes, benches)
  }

  private func measure(_ sizes: [Size], _ benches: [Workbench]) throws {
    defer {
      for bench in benches {
        bench.removeFiles()
        RawFile.removeDirectory(bench.directory)
      }
    }
    var arms: [Arm] = []
    var points: [SlopeReport.Point] = []
    for (size, bench) in zip(sizes, benches) {
      for var arm in try self.arms(of: size, with: bench) {
        let name = arm.name
        arm.name += "-\(size.mebibytes)"
        arms.append(arm)
        points.append(
          SlopeReport.Point(
            name: name, mebibytes: size.mebibytes, byteCount: bench.byteCount, arm: arm.name))
      }
    }
    let blocks = try BlockReport(options: options).blocks(of: arms)
    SlopeReport(options: options, blocks: blocks, points: points).show()
  }

  /// A durable save, a load of what is in the page cache, and a full verification, for each compression.
  private func arms(of size: Size, with bench: Workbench) throws -> [Arm] {
    let files = try bench.makeFiles()
    for file in files { print(bench.description(of: file)) }
    var arms = bench.saveArms() + bench.verifyArms(files)
    if size.isLoaded { arms += bench.loadArms(files) }
    let names = bench.compressions.flatMap {
      ["save-\($0.name)", "load-\($0.name)", "verify-\($0.name)-full"]
    }
    return names.compactMap { name in arms.first { $0.name == name } }
  }

  // MARK: Which sizes

  /// The sizes that the machine has room for; tells which are left out, and why.
  private func sizes(of base: Workload) -> [Size] {
    let memory = Machine.availableByteCount ?? .max
    return Self.mebibytes.compactMap { mebibytes in
      let byteCount = mebibytes << 20
      let workload = base.filled(to: byteCount)
      if let reason = reasonAgainst(mebibytes, workload, memory: memory) {
        Benchmark.note("\(mebibytes) MiB are left out: \(reason)")
        return nil
      }
      // The memory for it, its file in the page cache, and room for what else there is.
      let isLoaded = memory / 3 >= byteCount
      if !isLoaded {
        Benchmark.note(
          "\(mebibytes) MiB are not loaded: that takes three times as much available memory, and "
            + "there are \(memory >> 20) MiB")
      }
      return Size(mebibytes: mebibytes, workload: workload, isLoaded: isLoaded)
    }
  }

  private func reasonAgainst(_ mebibytes: Int, _ workload: Workload, memory: Int) -> String? {
    if let largest = options.largest, mebibytes > largest { return "--largest is \(largest)" }
    // Its file has to stay in the page cache beside the memory that smaller sizes are loaded into.
    guard memory / 2 >= mebibytes << 20 else {
      return "that takes twice as much available memory, and there are \(memory >> 20) MiB"
    }
    // The files of this size and of smaller ones are there at once, and beside them a save.
    let files = Self.mebibytes.reduce(0) { $1 <= mebibytes ? $0 + $1 : $0 }
    let most = options.compressions.count * files + mebibytes
    let needed = most + most / 10
    if let free = Machine.freeByteCount(in: options.directory), free >> 20 < needed {
      return "the files need \(needed) MiB of disk, and \(free >> 20) MiB are free"
    }
    guard workload.tensors.count <= Limits.default.tensorCountMax else {
      return "\(workload.tensors.count) tensors are more than a checkpoint can have"
    }
    return nil
  }
}
