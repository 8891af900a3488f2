internal import CheckpointTraining

/// A state, described: what the other cases measure with.
enum StateCase {
  static func run(_ options: Options) throws {
    print(try description(of: .generated(options.workload()), json: options.printsJSON))
  }

  /// One line, or one JSON object.
  static func description(of state: WorkloadState, json: Bool) throws -> String {
    let workload = state.workload
    let digest = try stateDigest(of: state)
    guard json else {
      return "\(workload.name): \(workload.tensors.count) tensors, "
        + "\(Benchmark.rounded(Double(workload.tensorByteCount) / 1e6)) MB, scale "
        + "\(Benchmark.rounded(workload.scale)), seed \(workload.seed), sha256 \(digest)"
    }
    return JSONLine([
      ("event", .text("state")), ("schema", .integer(1)), ("state", .text(workload.name)),
      ("seed", .integer(workload.seed)), ("scale", .number(workload.scale)),
      ("tensors", .integer(workload.tensors.count)), ("bytes", .integer(workload.tensorByteCount)),
      ("state_sha256", .text(digest)),
    ]).text
  }
}
