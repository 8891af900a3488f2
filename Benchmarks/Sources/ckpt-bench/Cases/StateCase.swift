internal import CheckpointTraining

/// A state, described: what the other cases measure with.
enum StateCase {
  static func run(_ options: Options) throws {
    print(try description(of: options.makeState(), json: options.printsJSON))
  }

  /// One line, or one JSON object.
  static func description(of state: WorkloadState, json: Bool) throws -> String {
    let workload = state.workload
    let digest = try stateDigest(of: state)
    guard json else {
      return "\(workload.name): \(workload.tensors.count) tensors, "
        + "\(Benchmark.rounded(Double(workload.tensorByteCount) / 1e6)) MB, "
        + "\(text(workload.origin)), sha256 \(digest)"
    }
    return JSONLine(
      [("event", .text("state")), ("schema", .integer(1)), ("state", .text(workload.name))]
        + fields(workload.origin) + [
          ("tensors", .integer(workload.tensors.count)),
          ("bytes", .integer(workload.tensorByteCount)), ("state_sha256", .text(digest)),
        ]
    ).text
  }

  /// What JSON objects say of where a state comes from.
  static func fields(_ origin: Workload.Origin) -> [(String, JSONLine.Value)] {
    switch origin {
    case .drawn(let seed, let scale): [("seed", .integer(seed)), ("scale", .number(scale))]
    case .read(let copies): [("repeat", .integer(copies))]
    }
  }

  private static func text(_ origin: Workload.Origin) -> String {
    switch origin {
    case .drawn(let seed, let scale): "scale \(Benchmark.rounded(scale)), seed \(seed)"
    case .read(1): "as it is in the checkpoint"
    case .read(let copies): "the checkpoint's tensors \(copies) times"
    }
  }
}
